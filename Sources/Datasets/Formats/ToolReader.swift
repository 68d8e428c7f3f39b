import OrderedCollections
import Text

/// Brings tools and calls into the one shape that chat templates expect: OpenAI's, with arguments as an object.
struct ToolReader {
  let row: Row

  /// The row's `tools`: a list, or a list written as JSON text, as LLaMA-Factory and TRL have it. Nil where there are none.
  ///
  /// A schema without `{"type": "function", "function": …}` around it gets that.
  func tools() throws(RowProblem) -> [JSON]? {
    guard var value = row["tools"] else { return nil }
    if let text = value.string {
      if text.allSatisfy(\.isWhitespace) { return nil }
      do {
        value = try JSON(parsing: text)
      } catch {
        throw RowProblem(row.location, field: "tools", "is \(error)", cure: "Write a list of JSON schemas")
      }
    }
    guard let list = value.array else { throw row.wrong("tools", value, expected: "a list of JSON schemas") }
    var tools: [JSON] = []
    for (index, tool) in list.enumerated() {
      guard tool.object != nil else { throw row.wrong("tools[\(index)]", tool, expected: "an object") }
      tools.append(tool["function"] == nil ? ["type": "function", "function": tool] : tool)
    }
    return tools.isEmpty ? nil : tools
  }

  /// One call, `{"name", "arguments"}` or that inside `function`. Arguments written as JSON text are parsed.
  func call(_ value: JSON, field: String) throws(RowProblem) -> JSON {
    let inner = value["function"] ?? value
    guard var function = inner.object, function["name"]?.string != nil else {
      throw RowProblem(
        row.location, field: field, "does not name a function", cure: #"Write {"name": …, "arguments": {…}}"#)
    }
    if let text = function["arguments"]?.string, let parsed = try? JSON(parsing: text), parsed.object != nil {
      function["arguments"] = parsed
    }
    guard var call = value.object, value["function"] != nil else {
      return ["type": "function", "function": .object(function)]
    }
    call["function"] = .object(function)
    if call["type"] == nil { call["type"] = "function" }
    return .object(call)
  }
}
