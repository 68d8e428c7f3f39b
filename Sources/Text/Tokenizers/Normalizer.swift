/// What is done to a text before it is split.
enum Normalizer: Sendable {
  case form(NormalizationForm)
  /// Each scalar by its own lower-case mapping; a final sigma is no special case.
  case lowercase
  case replace(Splitter, with: [UInt8])
  /// Puts a text in front of one that is not empty.
  case prepend([UInt8])
  case strip(left: Bool, right: Bool)

  /// The normalized form of well-formed UTF-8.
  func apply(to text: [UInt8], scratch: inout PatternMatcher) -> [UInt8] {
    switch self {
    case .form(let form): form.apply(to: text)
    case .lowercase: Normalizer.lowercased(text)
    case .replace(let splitter, let content): Normalizer.replace(splitter, with: content, in: text, scratch: &scratch)
    case .prepend(let prefix): text.isEmpty ? text : prefix + text
    case .strip(let left, let right): Normalizer.strip(text, left: left, right: right)
    }
  }

  private static func lowercased(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
      if scalar.isASCII {
        let byte = UInt8(truncatingIfNeeded: scalar.value)
        result.append((0x41...0x5A).contains(byte) ? byte | 0x20 : byte)
      } else {
        result.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
      }
    }
    return result
  }

  private static func replace(
    _ splitter: Splitter, with content: [UInt8], in text: [UInt8], scratch: inout PatternMatcher
  ) -> [UInt8] {
    text.withUnsafeBufferPointer { bytes in
      var result: [UInt8] = []
      result.reserveCapacity(text.count)
      for segment in splitter.segments(of: bytes, 0..<bytes.count, scratch: &scratch) {
        if segment.isMatch {
          result.append(contentsOf: content)
        } else {
          result.append(contentsOf: bytes[segment.start..<segment.end])
        }
      }
      return result
    }
  }

  private static func strip(_ text: [UInt8], left: Bool, right: Bool) -> [UInt8] {
    let scalars = String(decoding: text, as: UTF8.self).unicodeScalars
    var kept = scalars[...]
    if left { kept = kept.drop(while: \.properties.isWhitespace) }
    if right {
      while let last = kept.last, last.properties.isWhitespace { kept.removeLast() }
    }
    return Array(String(kept).utf8)
  }
}

extension Normalizer {
  /// The steps that a `normalizer` entry describes, in order.
  static func steps(_ field: ComponentField) throws(TokenizerError) -> [Normalizer] {
    let kind = try field.required("type").string()
    switch kind {
    case "Sequence":
      var steps: [Normalizer] = []
      for element in try field.required("normalizers").elements() { steps += try Normalizer.steps(element) }
      return steps
    case "NFC": return [.form(.canonicalComposition)]
    case "NFD": return [.form(.canonicalDecomposition)]
    case "NFKC": return [.form(.compatibilityComposition)]
    case "NFKD": return [.form(.compatibilityDecomposition)]
    case "Lowercase": return [.lowercase]
    case "Prepend": return [.prepend(Array(try field.required("prepend").string().utf8))]
    case "Strip":
      return [.strip(left: try field.bool("strip_left", default: true), right: try field.bool("strip_right", default: true))]
    case "Replace":
      let content = Array(try field.required("content").string().utf8)
      return [.replace(try Splitter(pattern: try field.required("pattern")), with: content)]
    default: throw field.error("the normalizer “\(kind)” is not supported")
    }
  }
}

extension Splitter {
  /// `{"String": …}`, `{"Regex": …}` or a plain string.
  init(pattern field: ComponentField) throws(TokenizerError) {
    if let expression = field["Regex"] {
      self = try Splitter.expression(try expression.string(), at: expression)
      return
    }
    let literal = field["String"] ?? field
    let bytes = Array(try literal.string().utf8)
    guard !bytes.isEmpty else { throw literal.error("the pattern is empty") }
    self = .literal(bytes)
  }

  static func expression(_ expression: String, at field: ComponentField) throws(TokenizerError) -> Splitter {
    if let known = WordPattern(expression: expression) { return .words(known) }
    do throws(PatternError) { return .pattern(try ScalarPattern(expression)) } catch { throw field.error(error.problem) }
  }
}
