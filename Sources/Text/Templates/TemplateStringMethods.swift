/// The methods of Python's `str`, which go by code points.
enum TemplateStringMethods {
  static let all: [String: TemplateMethods.Body] = cases.merging(cutting) { $1 }.merging(searching) { $1 }
    .merging(TemplateStringTests.all) { $1 }.merging(padding) { $1 }

  /// Methods that Python has and that do not make sense here.
  static let unsupported: Set<String> = ["encode", "expandtabs", "maketrans", "translate"]

  private typealias Text = @Sendable (TemplateInterpreter, String, TemplateParameters) throws -> TemplateValue

  /// A method with positional parameters, some of which may have names.
  private static func method(
    _ name: String, _ parameters: [String] = [], required: Int = 0, named: Bool = false, _ body: @escaping Text
  ) -> TemplateMethods.Body {
    { interpreter, value, arguments in
      guard case .string(let text) = value else { throw TemplateFailure("\(name) needs a string") }
      try interpreter.budget.charge(bytes: text.utf8.count)
      let given = try arguments.bind(name, parameters, required: required, positionalOnly: !named)
      return try body(interpreter, text, given)
    }
  }

  private static func need(_ text: String?, _ given: TemplateParameters, _ place: Int) throws -> String {
    guard let text else { throw TemplateFailure("\(given.function)() needs a string for '\(given.names[place])', not NoneType") }
    return text
  }

  // MARK: case

  private static let cases: [String: TemplateMethods.Body] = [
    "upper": method("upper") { _, text, _ in .string(TextCase.upper(text)) },
    "lower": method("lower") { _, text, _ in .string(TextCase.lower(text)) },
    "casefold": method("casefold") { _, text, _ in .string(TextCase.lower(text)) },
    "capitalize": method("capitalize") { _, text, _ in .string(TextCase.capitalize(text)) },
    "title": method("title") { _, text, _ in .string(TextCase.title(text)) },
    "swapcase": method("swapcase") { _, text, _ in .string(TextCase.swap(text)) },
  ]

  // MARK: cutting and joining

  private static let cutting: [String: TemplateMethods.Body] = [
    "strip": method("strip", ["chars"]) { _, text, given in .string(TextTrim.trim(text, try given.text(0))) },
    "lstrip": method("lstrip", ["chars"]) { _, text, given in
      .string(TextTrim.trim(text, try given.text(0), end: false))
    },
    "rstrip": method("rstrip", ["chars"]) { _, text, given in
      .string(TextTrim.trim(text, try given.text(0), start: false))
    },
    "removeprefix": method("removeprefix", ["prefix"], required: 1) { _, text, given in
      let prefix = try need(try given.text(0), given, 0)
      guard text.utf8.starts(with: prefix.utf8) else { return .string(text) }
      return .string(String(decoding: text.utf8.dropFirst(prefix.utf8.count), as: UTF8.self))
    },
    "removesuffix": method("removesuffix", ["suffix"], required: 1) { _, text, given in
      let suffix = try need(try given.text(0), given, 0)
      guard text.utf8.reversed().starts(with: suffix.utf8.reversed()) else { return .string(text) }
      return .string(String(decoding: text.utf8.dropLast(suffix.utf8.count), as: UTF8.self))
    },
    "split": method("split", ["sep", "maxsplit"], named: true) { try split($0, $1, $2, fromEnd: false) },
    "rsplit": method("rsplit", ["sep", "maxsplit"], named: true) { try split($0, $1, $2, fromEnd: true) },
    "splitlines": method("splitlines", ["keepends"], named: true) { interpreter, text, given in
      try interpreter.makeList(TextTrim.lines(text, keepingEnds: given.flag(0)).map(TemplateValue.string))
    },
    "partition": method("partition", ["sep"], required: 1) { try partition($0, $1, $2, fromEnd: false) },
    "rpartition": method("rpartition", ["sep"], required: 1) { try partition($0, $1, $2, fromEnd: true) },
    "join": method("join", ["iterable"], required: 1) { interpreter, text, given in
      try join(interpreter, text, given[0] ?? .none)
    },
    "replace": method("replace", ["old", "new", "count"], required: 2) { interpreter, text, given in
      let old = try need(try given.text(0), given, 0)
      let new = try need(try given.text(1), given, 1)
      return .string(try replace(interpreter, text, old, new, try given.int(2)))
    },
    "format": { interpreter, value, arguments in
      guard case .string(let text) = value else { throw TemplateFailure("format needs a string") }
      return .string(try TemplateFormatting(budget: interpreter.budget).braces(text, arguments, interpreter))
    },
  ]

  private static func split(
    _ interpreter: TemplateInterpreter, _ text: String, _ given: TemplateParameters, fromEnd: Bool
  ) throws -> TemplateValue {
    let count = try given.int(1) ?? -1
    let limit = count < 0 ? Int.max : count
    let pieces: [String]
    if let separator = try given.text(0) {
      guard !separator.isEmpty else { throw TemplateFailure("empty separator") }
      pieces = TextSearch.split(text, by: separator, limit: limit, fromEnd: fromEnd)
    } else {
      pieces = TextTrim.words(text, limit: limit, fromEnd: fromEnd)
    }
    return try interpreter.makeList(pieces.map(TemplateValue.string))
  }

  private static func partition(
    _ interpreter: TemplateInterpreter, _ text: String, _ given: TemplateParameters, fromEnd: Bool
  ) throws -> TemplateValue {
    let separator = try need(try given.text(0), given, 0)
    guard !separator.isEmpty else { throw TemplateFailure("empty separator") }
    let pieces = TextSearch.split(text, by: separator, limit: 1, fromEnd: fromEnd)
    let parts = pieces.count == 2 ? [pieces[0], separator, pieces[1]] : fromEnd ? ["", "", text] : [text, "", ""]
    return try interpreter.makeTuple(parts.map(TemplateValue.string))
  }

  private static func join(
    _ interpreter: TemplateInterpreter, _ separator: String, _ iterable: TemplateValue
  ) throws -> TemplateValue {
    let pieces = try interpreter.list(of: iterable).enumerated().map { place, piece in
      guard case .string(let piece) = piece else {
        throw TemplateFailure("sequence item \(place): expected str instance, \(piece.typeName) found")
      }
      return piece
    }
    return .string(try joined(pieces, separator, interpreter.budget))
  }

  /// The pieces with `separator` between them, once the budget allows their length.
  static func joined(_ pieces: [String], _ separator: String, _ budget: TemplateBudget) throws -> String {
    try budget.charge(repeating: separator.utf8.count, count: pieces.count)
    try budget.charge(bytes: pieces.reduce(separator.utf8.count * pieces.count) { $0 + $1.utf8.count })
    return pieces.joined(separator: separator)
  }

  /// Python's `str.replace`.
  static func replace(
    _ interpreter: TemplateInterpreter, _ text: String, _ old: String, _ new: String, _ count: Int?
  ) throws -> String {
    let limit = count.map { $0 < 0 ? Int.max : $0 } ?? .max
    guard old.isEmpty else {
      return try joined(TextSearch.split(text, by: old, limit: limit), new, interpreter.budget)
    }
    let scalars = text.unicodeScalars.map { String($0) }
    guard limit > 0 else { return text }
    guard limit <= scalars.count else { return try joined([""] + scalars + [""], new, interpreter.budget) }
    let pieces = [""] + scalars[..<(limit - 1)] + [scalars[(limit - 1)...].joined()]
    return try joined(pieces, new, interpreter.budget)
  }

  // MARK: searching

  private static let searching: [String: TemplateMethods.Body] = [
    "startswith": affix("startswith") { $0.utf8.starts(with: $1.utf8) },
    "endswith": affix("endswith") { $0.utf8.reversed().starts(with: $1.utf8.reversed()) },
    "find": find("find", fromEnd: false, mustExist: false),
    "rfind": find("rfind", fromEnd: true, mustExist: false),
    "index": find("index", fromEnd: false, mustExist: true),
    "rindex": find("rindex", fromEnd: true, mustExist: true),
    "count": method("count", ["sub", "start", "end"], required: 1) { _, text, given in
      let (window, _) = try windowed(text, given)
      let part = try need(try given.text(0), given, 0)
      return .int(part.isEmpty ? window.unicodeScalars.count + 1 : TextSearch.offsets(of: part, in: window).count)
    },
  ]

  /// The range of `count` elements that Python's optional `start` and `end` select.
  static func clamped(_ start: Int?, _ end: Int?, count: Int) -> Range<Int> {
    func place(_ bound: Int) -> Int { min(max(bound < 0 ? max(bound, -count) + count : bound, 0), count) }
    let first = start.map(place) ?? 0
    return first..<max(first, end.map(place) ?? count)
  }

  private static func windowed(_ text: String, _ given: TemplateParameters) throws -> (String, offset: Int) {
    let (start, end) = (try given.int(1), try given.int(2))
    guard start != nil || end != nil else { return (text, 0) }
    let scalars = text.unicodeScalars
    let range = clamped(start, end, count: scalars.count)
    let first = scalars.index(scalars.startIndex, offsetBy: range.lowerBound)
    return (String(scalars[first..<scalars.index(first, offsetBy: range.count)]), range.lowerBound)
  }

  private static func find(_ name: String, fromEnd: Bool, mustExist: Bool) -> TemplateMethods.Body {
    method(name, ["sub", "start", "end"], required: 1) { _, text, given in
      let part = try need(try given.text(0), given, 0)
      let (window, offset) = try windowed(text, given)
      if part.isEmpty { return .int(offset + (fromEnd ? window.unicodeScalars.count : 0)) }
      guard let found = TextSearch.offsets(of: part, in: window, limit: 1, fromEnd: fromEnd).first else {
        guard !mustExist else { throw TemplateFailure("substring not found") }
        return .int(-1)
      }
      return .int(offset + String(decoding: window.utf8.prefix(found), as: UTF8.self).unicodeScalars.count)
    }
  }

  private static func affix(
    _ name: String, _ matches: @escaping @Sendable (String, String) -> Bool
  ) -> TemplateMethods.Body {
    method(name, ["prefix", "start", "end"], required: 1) { _, text, given in
      let (window, _) = try windowed(text, given)
      if case .sequence(let options) = given[0], options.kind == .tuple {
        return .bool(
          try options.elements.contains { option in
            guard case .string(let option) = option else { throw TemplateFailure("\(name) needs strings in its tuple") }
            return matches(window, option)
          })
      }
      return .bool(matches(window, try need(try given.text(0), given, 0)))
    }
  }

  // MARK: padding

  private static let padding: [String: TemplateMethods.Body] = [
    "ljust": pad("ljust") { missing, _ in (0, missing) },
    "rjust": pad("rjust") { missing, _ in (missing, 0) },
    "center": pad("center") { missing, width in
      let left = missing / 2 + (missing & width & 1)
      return (left, missing - left)
    },
    "zfill": method("zfill", ["width"], required: 1) { interpreter, text, given in
      let missing = max(max(try given.int(0) ?? 0, 0) - text.unicodeScalars.count, 0)
      try interpreter.budget.charge(bytes: missing)
      let zeros = String(repeating: "0", count: missing)
      guard let sign = text.unicodeScalars.first, sign == "-" || sign == "+" else { return .string(zeros + text) }
      return .string(String(sign) + zeros + String(text.unicodeScalars.dropFirst()))
    },
  ]

  private static func pad(
    _ name: String, _ sides: @escaping @Sendable (_ missing: Int, _ width: Int) -> (Int, Int)
  ) -> TemplateMethods.Body {
    method(name, ["width", "fillchar"], required: 1) { interpreter, text, given in
      let width = max(try given.int(0) ?? 0, 0)
      let fill = try given.text(1) ?? " "
      guard fill.unicodeScalars.count == 1 else { throw TemplateFailure("the fill character must be exactly one character long") }
      let missing = width - text.unicodeScalars.count
      guard missing > 0 else { return .string(text) }
      try interpreter.budget.charge(repeating: fill.utf8.count, count: missing)
      let (left, right) = sides(missing, width)
      return .string(String(repeating: fill, count: left) + text + String(repeating: fill, count: right))
    }
  }
}
