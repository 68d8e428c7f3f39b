import ArgumentParser
import OrderedCollections
import Recipes
import Text

extension DataCommand {
  /// `attune data render`: a conversation as text.
  struct Render: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print a conversation as the model's chat template renders it, and nothing else.",
      discussion: """
        No line end is added.

        Example:
          attune data render --model smollm2 --messages chat.json
        """)

    @OptionGroup var model: ModelName

    @Option(help: ArgumentHelp("A JSON list of {\"role\", \"content\"}; “-” for standard input.", valueName: "file"))
    var messages: String

    @Flag(help: "End with the opening of an assistant's turn.")
    var addGenerationPrompt = false

    @Option(help: ArgumentHelp("A JSON list of the tools on offer, as JSON schemas.", valueName: "file"))
    var tools: String?

    func run() throws {
      let side = try TextSide(ModelStore.standard.resolve(model.name))
      let tools = try tools.map { try list(in: $0, of: "tools") }
      guard let template = try side.template(hasTools: tools != nil) else {
        throw CommandError("\(side.path) has no chat template; use an instruct model")
      }
      let turns = try list(in: messages, of: "messages").enumerated().map { try message($1, at: "\(messages): message \($0)") }
      let text = try template.render(turns, tools: tools, addGenerationPrompt: addGenerationPrompt)
      try Terminal.output.write(text)
    }

    /// The list in a file: the whole of it, or the one that an object has under `key`.
    private func list(in path: String, of key: String) throws -> [JSON] {
      let text = try TextInput.read(path)
      let value: JSON
      do throws(JSONError) { value = try JSON(parsing: text) } catch { throw CommandError("\(path): \(error)") }
      guard let list = value.array ?? value[key]?.array else { throw CommandError("\(path): is not a JSON list of \(key)") }
      return list
    }

    /// A turn as it stands in the file: content may be missing or null beside tool calls.
    private func message(_ value: JSON, at place: String) throws -> Message {
      guard var members = value.object else { throw CommandError("\(place) is not an object with “role” and “content”") }
      guard let role = members.removeValue(forKey: "role")?.string else { throw CommandError("\(place) has no “role”") }
      let calls = members.removeValue(forKey: "tool_calls") ?? .null
      let content = members.removeValue(forKey: "content") ?? .null
      guard calls.isNull || calls.array != nil else { throw CommandError("\(place): “tool_calls” is not a list") }
      if content.string == nil, !content.isNull {
        throw CommandError("\(place): “content” is neither text nor null; write the text of the turn")
      }
      return Message(role: role, content: content.string, toolCalls: calls.array ?? [], extra: members)
    }
  }
}
