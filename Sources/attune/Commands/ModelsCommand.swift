import ArgumentParser
import Foundation
import OrderedCollections
import Recipes
import Text

/// `attune models`: names for models, and what is in them.
struct ModelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "List, name and look over models.",
    discussion: """
      The model store gives names to models on this machine; it is the file models.json in ~/.attune, or in the folder that \
      ATTUNE_HOME names. Models in the folder models/ here can be called by their names, too.

      Example:
        attune models add ~/models/Qwen3-0.6B --name qwen3
      """,
    subcommands: [List.self, Add.self, Remove.self, ModelInspection.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the models that can be called by name.",
      discussion: """
        Example:
          attune models list
        """)

    @Flag(help: "Print JSON: a list of {\"name\", \"path\", \"exists\"}.")
    var json = false

    func run() throws {
      let stored = try ModelStore.standard.entries()
      let named = stored.map { ($0.key, $0.value) } + ModelStore.local(in: "models").filter { stored[$0.name] == nil }
      let models = named.map { (name: $0.0, path: $0.1, exists: FileManager.default.fileExists(atPath: $0.1)) }
      if json {
        let list = models.map { ["name": .string($0.name), "path": .string($0.path), "exists": .bool($0.exists)] as JSON }
        return try Terminal.output.write(JSON.array(list).text(.pretty) + "\n")
      }
      if models.isEmpty {
        return Log.line("no models yet; `attune models add PATH` names one, `Scripts/fetch-model` fetches a small one")
      }
      let table = TextTable(models.map { [$0.name, $0.path] + ($0.exists ? [] : ["(gone)"]) })
      try Terminal.output.write(table.lines.joined(separator: "\n") + "\n")
    }
  }

  struct Add: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give a model a name.",
      discussion: """
        A name that is taken changes hands. The model's files stay where they are.

        Example:
          attune models add models/smollm2-135m-instruct.gguf --name smollm2
        """)

    @Argument(help: "A Hugging Face folder or a .gguf file.")
    var path: String

    @Option(help: "The name (default: that of the folder or file).")
    var name: String?

    func run() throws {
      let file = URL(filePath: path).lastPathComponent
      let name = name ?? (file.hasSuffix(".gguf") ? String(file.dropLast(5)) : file)
      try ModelStore.standard.add(path, named: name)
      Log.line("“\(name)” now stands for \(path)")
    }
  }

  struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a name out of the model store.",
      discussion: """
        The model's files stay.

        Example:
          attune models remove smollm2
        """)

    @Argument(help: "The name.")
    var name: String

    func run() throws { try ModelStore.standard.remove(name) }
  }
}
