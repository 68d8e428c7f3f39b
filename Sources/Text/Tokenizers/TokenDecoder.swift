/// One step from the spellings of tokens back to text.
enum DecodingStep: Sendable, Hashable {
  /// Spellings become the bytes they stand for.
  case byteLevel
  /// The replacement character becomes a space, or nothing in the first token where `dropsFirst`.
  case metaspace(replacement: [UInt8], dropsFirst: Bool)
  case replace([UInt8], with: [UInt8])
  /// Runs of `<0xXX>` become the text their bytes are, or one U+FFFD a byte where they are not UTF-8.
  case byteFallback
  /// The tokens become one text, within which later steps work.
  case fuse
  /// Takes up to so many copies of a character from either end of each token.
  case strip(content: [UInt8], start: Int, stop: Int)
  /// A space goes between tokens: what becomes of them where a file names no decoder.
  case joinedBySpaces
}

extension DecodingStep {
  /// The steps that a `decoder` entry describes, in order.
  static func steps(_ field: ComponentField) throws(TokenizerError) -> [DecodingStep] {
    let kind = try field.required("type").string()
    switch kind {
    case "Sequence":
      var steps: [DecodingStep] = []
      for element in try field.required("decoders").elements() { steps += try DecodingStep.steps(element) }
      return steps
    case "ByteLevel": return [.byteLevel]
    case "ByteFallback": return [.byteFallback]
    case "Fuse": return [.fuse]
    case "Metaspace":
      let replacement = try field.string("replacement", default: "▁")
      let hasPrefix = try field.bool("add_prefix_space", default: true)
      let scheme = try field["prepend_scheme"]?.string()
      let dropsFirst = scheme.map { $0 != "never" } ?? hasPrefix
      return [.metaspace(replacement: Array(replacement.utf8), dropsFirst: dropsFirst)]
    case "Replace":
      let pattern = try field.required("pattern")
      guard case .literal(let literal) = try Splitter(pattern: pattern) else {
        throw pattern.error("only a literal is supported here")
      }
      return [.replace(literal, with: Array(try field.required("content").string().utf8))]
    case "Strip": return [try strip(field)]
    default: throw field.error("the decoder “\(kind)” is not supported")
    }
  }

  private static func strip(_ field: ComponentField) throws(TokenizerError) -> DecodingStep {
    let content = try field.required("content").string()
    guard content.unicodeScalars.count == 1 else { throw field.error("the content to strip is not one character") }
    let (start, stop) = (try field["start"]?.int() ?? 0, try field["stop"]?.int() ?? 0)
    guard (0...1_000_000).contains(start), (0...1_000_000).contains(stop) else {
      throw field.error("start and stop must be from 0 to 1,000,000")
    }
    return .strip(content: Array(content.utf8), start: start, stop: stop)
  }
}

extension DecodingStep {
  /// The bytes that a spelling stands for inside a text, where nothing is stripped and no token is the first.
  static func bytes(of spelling: [UInt8], by steps: [DecodingStep]) -> [UInt8] {
    var bytes = spelling
    for step in steps {
      switch step {
      case .byteLevel: bytes = bytes.withUnsafeBufferPointer { ByteAlphabet.bytes(of: $0) } ?? bytes
      case .metaspace(let replacement, _): bytes = bytes.replacing(replacement, with: [0x20])
      case .replace(let literal, let content): bytes = bytes.replacing(literal, with: content)
      case .byteFallback: if let byte = byte(spelt: bytes) { bytes = [byte] }
      case .fuse, .strip, .joinedBySpaces: break
      }
    }
    return bytes
  }

  /// The byte of `<0xXX>`.
  static func byte(spelt spelling: [UInt8]) -> UInt8? {
    guard spelling.count == 6, spelling.starts(with: "<0x".utf8), spelling[5] == UInt8(ascii: ">") else { return nil }
    let digits = spelling[3..<5]
    guard digits.first != UInt8(ascii: "+"), digits.first != UInt8(ascii: "-") else { return nil }
    return UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
  }
}
