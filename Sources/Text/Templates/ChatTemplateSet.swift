import OrderedCollections

/// The chat templates that a model's files hold: one, or several by name (`default`, `tool_use`, `rag`).
public struct ChatTemplateSet: Sendable {
  /// The sources by name.
  public let sources: OrderedDictionary<String, String>

  /// Templates by name.
  public init(_ sources: OrderedDictionary<String, String>) { self.sources = sources }

  /// The value of `chat_template` in `tokenizer_config.json`: a string, or a list of `{"name", "template"}`.
  ///
  /// - Parameter value: the value; a missing one gives nil.
  /// - Throws: ``TemplateError`` where it is neither.
  public init?(chatTemplate value: JSON?) throws {
    switch value {
    case nil, .null: return nil
    case .string(let source): self.init(["default": source])
    case .array(let entries):
      var sources: OrderedDictionary<String, String> = [:]
      for entry in entries {
        guard let name = entry["name"]?.string, let source = entry["template"]?.string else { throw Self.malformed }
        sources[name] = source
      }
      guard !sources.isEmpty else { return nil }
      self.init(sources)
    default: throw Self.malformed
    }
  }

  /// The templates of a Hugging Face folder: `chat_template.jinja` wins over `tokenizer_config.json`.
  ///
  /// - Parameters:
  ///   - tokenizerConfiguration: the bytes of `tokenizer_config.json`, if there is one.
  ///   - templateFile: the bytes of `chat_template.jinja`, if there is one.
  /// - Throws: `JSONError` or ``TemplateError`` where the bytes are not what they should be. Nil where there is no template.
  public init?(tokenizerConfiguration: [UInt8]?, templateFile: [UInt8]?) throws {
    if let templateFile {
      guard let source = String(validating: templateFile, as: UTF8.self) else {
        throw TemplateError(kind: .syntax, problem: "the file is not UTF-8", line: 1, template: "chat_template.jinja")
      }
      self.init(["default": source])
    } else {
      try self.init(chatTemplate: try tokenizerConfiguration.map { try JSON(parsing: $0) }?["chat_template"])
    }
  }

  private static var malformed: TemplateError {
    TemplateError(
      kind: .syntax, problem: "chat_template is neither a string nor a list of objects with “name” and “template”", line: 1,
      template: "tokenizer_config.json")
  }

  /// The template that transformers would choose: the one asked for by name; else `tool_use` where tools are given and there is
  /// one; else `default`.
  ///
  /// - Throws: ``TemplateError`` that lists the names where none fits.
  public func choose(_ name: String? = nil, hasTools: Bool = false) throws -> (name: String, source: String) {
    let wanted = name ?? (hasTools && sources["tool_use"] != nil ? "tool_use" : "default")
    guard let source = sources[wanted] else {
      let problem = "there is no template of this name; the model's files have \(sources.keys.joined(separator: ", "))"
      throw TemplateError(kind: .evaluation, problem: problem, line: 1, template: wanted)
    }
    return (wanted, source)
  }
}
