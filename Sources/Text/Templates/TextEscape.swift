/// Characters that mean something to HTML, written as entities.
enum TextEscape {
  static func html(_ text: String, _ budget: TemplateBudget) throws -> String {
    let special: Set<UInt8> = [UInt8(ascii: "&"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "'"), UInt8(ascii: "\"")]
    let count = text.utf8.count { special.contains($0) }
    try budget.charge(bytes: text.utf8.count + 4 * count)
    return count == 0
      ? text
      : text.unicodeScalars.reduce(into: "") { out, scalar in
        switch scalar {
        case "&": out += "&amp;"
        case "<": out += "&lt;"
        case ">": out += "&gt;"
        case "'": out += "&#39;"
        case "\"": out += "&#34;"
        default: out.unicodeScalars.append(scalar)
        }
      }
  }
}
