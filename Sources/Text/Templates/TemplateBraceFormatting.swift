import OrderedCollections

extension TemplateFormatting {
  /// Python's `text.format(…)`.
  func braces(_ format: String, _ arguments: TemplateArguments, _ interpreter: TemplateInterpreter) throws -> String {
    var next = 0
    var out = ""
    var rest = Substring(format).unicodeScalars
    while let brace = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
      try append(String(rest[..<brace]), to: &out)
      let kind = rest[brace]
      rest = rest[rest.index(after: brace)...]
      if rest.first == kind {
        try append(String(kind), to: &out)
        rest.removeFirst()
        continue
      }
      guard kind == "{" else { throw TemplateFailure("Single '}' encountered in format string") }
      guard let end = rest.firstIndex(where: { $0 == "{" || $0 == "}" }), rest[end] == "}" else {
        throw TemplateFailure("a field of a format string is not closed, or nests another")
      }
      try append(try field(String(rest[..<end]), arguments, &next, interpreter), to: &out)
      rest = rest[rest.index(after: end)...]
    }
    try append(String(rest), to: &out)
    return out
  }

  private func field(
    _ text: String, _ arguments: TemplateArguments, _ next: inout Int, _ interpreter: TemplateInterpreter
  ) throws -> String {
    let halves = TextSearch.split(text, by: ":", limit: 1)
    let parts = TextSearch.split(halves[0], by: "!", limit: 1)
    var value = try value(parts[0], arguments, &next, interpreter)
    if parts.count == 2 {
      switch parts[1] {
      case "s": value = .string(try interpreter.text(of: value))
      case "r": value = .string(try TemplatePrinter.representation(of: value, budget))
      default: throw TemplateFailure("unknown conversion “\(parts[1])” in a format string")
      }
    }
    return try self.text(of: value, try spec(halves.count == 2 ? halves[1] : ""))
  }

  private func value(
    _ path: String, _ arguments: TemplateArguments, _ next: inout Int, _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    var rest = Substring(path).unicodeScalars
    let name = String(rest.prefix { $0 != "." && $0 != "[" })
    rest = rest.dropFirst(name.unicodeScalars.count)
    var value: TemplateValue
    if name.isEmpty || name.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
      let place = Int(name) ?? next
      if name.isEmpty { next += 1 }
      guard arguments.positional.indices.contains(place) else {
        throw TemplateFailure("Replacement index \(place) out of range for positional args tuple")
      }
      value = arguments.positional[place]
    } else {
      guard let named = arguments.named[name] else { throw TemplateFailure("the format names '\(name)', which is not given") }
      value = named
    }
    while let mark = rest.popFirst() {
      let part = String(rest.prefix { mark == "[" ? $0 != "]" : $0 != "." && $0 != "[" })
      rest = rest.dropFirst(part.unicodeScalars.count)
      if mark == "[" {
        guard rest.popFirst() == "]" else { throw TemplateFailure("a bracket in a format string is not closed") }
        value = try interpreter.item(Int(part).map(TemplateValue.int) ?? .string(part), of: value)
      } else {
        value = try interpreter.attribute(part, of: value)
      }
    }
    return value
  }

  /// `[[fill]align][sign][#][0][width][,][.precision][type]`
  private func spec(_ text: String) throws -> TemplateFormatSpec {
    var spec = TemplateFormatSpec()
    var rest = Substring(text).unicodeScalars
    let alignments: [Unicode.Scalar] = ["<", ">", "^", "="]
    if let second = rest.dropFirst().first, alignments.contains(second) {
      spec.fill = rest.removeFirst()
      spec.alignment = rest.removeFirst()
    } else if let first = rest.first, alignments.contains(first) {
      spec.alignment = rest.removeFirst()
    }
    if let sign = rest.first, ["+", "-", " "].contains(sign) { spec.sign = rest.removeFirst() }
    if rest.first == "#" {
      spec.isAlternate = true
      rest.removeFirst()
    }
    if rest.first == "0", spec.alignment == nil { (spec.fill, spec.alignment) = ("0", "=") }
    spec.width = try number(in: &rest) ?? 0
    if let groups = rest.first, groups == "," || groups == "_" { spec.groups = rest.removeFirst() }
    if rest.first == "." {
      rest.removeFirst()
      spec.precision = try number(in: &rest)
    }
    spec.type = rest.popFirst()
    guard rest.isEmpty else { throw TemplateFailure("“\(text)” is not a format specification") }
    return spec
  }
}
