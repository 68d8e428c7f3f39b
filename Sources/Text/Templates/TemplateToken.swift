/// A piece of a template's source.
struct TemplateToken {
  enum Kind: Hashable {
    case data(String)
    case variableBegin
    case variableEnd
    case blockBegin
    case blockEnd
    case name(String)
    case string(String)
    case integer(Int)
    case double(Double)
    case symbol(String)
    case end
  }

  let kind: Kind
  let line: Int

  /// The token as an error message shows it.
  var shown: String {
    switch kind {
    case .data: "text"
    case .variableBegin: "{{"
    case .variableEnd: "}}"
    case .blockBegin: "{%"
    case .blockEnd: "%}"
    case .name(let name): name
    case .string(let text): "\"\(text)\""
    case .integer(let value): String(value)
    case .double(let value): String(value)
    case .symbol(let text): text
    case .end: "the end of the template"
    }
  }
}
