/// One step that splits a text into the pieces within which tokens are merged.
enum PreTokenizer: Sendable {
  case split(Splitter, SplitBehavior, isInverted: Bool)
  /// Spells bytes as characters, which this library leaves to the vocabulary; here it may put a space in front and split.
  case byteLevel(addsPrefixSpace: Bool, splitter: Splitter?)
  case metaspace(replacement: [UInt8], MetaspacePrefix, splits: Bool)

  /// Where Metaspace puts its replacement character in front.
  enum MetaspacePrefix: Sendable { case always, first, never }

  var isByteLevel: Bool { if case .byteLevel = self { true } else { false } }
}

/// A text on its way into pieces.
struct PreTokenizedText {
  struct Piece {
    var start: Int
    var end: Int
    /// True where the piece begins at the very start of the text that was to be encoded.
    var startsText: Bool
  }

  var bytes: [UInt8]
  var pieces: [Piece]

  /// A text that is not empty, in one piece.
  init(_ bytes: [UInt8], startsText: Bool) {
    self.bytes = bytes
    pieces = bytes.isEmpty ? [] : [Piece(start: 0, end: bytes.count, startsText: startsText)]
  }

  mutating func apply(_ step: PreTokenizer, scratch: inout PatternMatcher) {
    switch step {
    case .split(let splitter, let behavior, let isInverted):
      split(at: splitter, behavior, isInverted: isInverted, scratch: &scratch)
    case .byteLevel(let addsPrefixSpace, let splitter):
      if addsPrefixSpace { rewrite { $0.first == 0x20 ? [] : [0x20] } }
      if let splitter { split(at: splitter, .isolated, isInverted: false, scratch: &scratch) }
    case .metaspace(let replacement, let prefix, let splits):
      rewrite(replacingSpaceWith: replacement) { piece in
        let isDue = prefix == .always || prefix == .first && piece.startsText
        return isDue && piece.first != 0x20 && !piece.starts(with: replacement) ? replacement : []
      }
      if splits { split(at: .literal(replacement), .mergedWithNext, isInverted: false, scratch: &scratch) }
    }
  }

  private mutating func split(
    at splitter: Splitter, _ behavior: SplitBehavior, isInverted: Bool, scratch: inout PatternMatcher
  ) {
    var result: [Piece] = []
    result.reserveCapacity(max(pieces.count, bytes.count / 5))
    bytes.withUnsafeBufferPointer { bytes in
      for piece in pieces {
        if case .words(let pattern) = splitter, behavior == (isInverted ? .removed : .isolated) {
          pattern.scan(bytes, piece.start..<piece.end) {
            result.append(Piece(start: $0, end: $1, startsText: piece.startsText && $0 == piece.start))
          }
          continue
        }
        var segments = splitter.segments(of: bytes, piece.start..<piece.end, scratch: &scratch)
        if isInverted { for index in segments.indices { segments[index].isMatch.toggle() } }
        for part in behavior.pieces(of: segments) {
          result.append(Piece(start: part.start, end: part.end, startsText: piece.startsText && part.start == piece.start))
        }
      }
    }
    pieces = result
  }

  /// A piece as the rules for prefixes see it.
  private struct PieceView {
    let bytes: ArraySlice<UInt8>
    let startsText: Bool
    var first: UInt8? { bytes.first }
    func starts(with prefix: [UInt8]) -> Bool { bytes.starts(with: prefix) }
  }

  private mutating func rewrite(replacingSpaceWith replacement: [UInt8]? = nil, prefix: (PieceView) -> [UInt8]) {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + bytes.count / 2)
    for index in pieces.indices {
      let piece = pieces[index]
      let start = result.count
      result.append(contentsOf: prefix(PieceView(bytes: bytes[piece.start..<piece.end], startsText: piece.startsText)))
      if let replacement {
        for byte in bytes[piece.start..<piece.end] {
          if byte == 0x20 { result.append(contentsOf: replacement) } else { result.append(byte) }
        }
      } else {
        result.append(contentsOf: bytes[piece.start..<piece.end])
      }
      (pieces[index].start, pieces[index].end) = (start, result.count)
    }
    bytes = result
  }
}

extension PreTokenizer {
  /// The steps that a `pre_tokenizer` entry describes, in order.
  static func steps(_ field: ComponentField) throws(TokenizerError) -> [PreTokenizer] {
    let kind = try field.required("type").string()
    switch kind {
    case "Sequence":
      var steps: [PreTokenizer] = []
      for element in try field.required("pretokenizers").elements() { steps += try PreTokenizer.steps(element) }
      return steps
    case "ByteLevel":
      let splitter: Splitter? = try field.bool("use_regex", default: true) ? .words(.gpt2) : nil
      return [.byteLevel(addsPrefixSpace: try field.bool("add_prefix_space", default: true), splitter: splitter)]
    case "Split":
      let splitter = try Splitter(pattern: try field.required("pattern"))
      return [.split(splitter, try behavior(field.required("behavior")), isInverted: try field.bool("invert", default: false))]
    case "Digits":
      let individual = try field.bool("individual_digits", default: false)
      return [.split(.scalars(ScalarSet(traits: .number)), individual ? .isolated : .contiguous, isInverted: false)]
    case "Punctuation":
      let behavior = try field["behavior"].map { field throws(TokenizerError) in try self.behavior(field) } ?? .isolated
      return [.split(.scalars(punctuation), behavior, isInverted: false)]
    case "Whitespace":
      // Its `\w` is that of Unicode, which differs from that of the other patterns.
      let word = #"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}"#
      let words = "[\(word)]+|[^\(word)\\s]+"
      return [.split(try Splitter.expression(words, at: field), .removed, isInverted: true)]
    case "WhitespaceSplit": return [.split(.scalars(.whitespace), .removed, isInverted: false)]
    case "Metaspace": return [try metaspace(field)]
    default: throw field.error("the pre-tokenizer “\(kind)” is not supported")
    }
  }

  private static func behavior(_ field: ComponentField) throws(TokenizerError) -> SplitBehavior {
    let name = try field.string()
    guard let behavior = SplitBehavior(rawValue: name) else { throw field.error("the behavior “\(name)” is not known") }
    return behavior
  }

  /// Unicode punctuation and everything ASCII prints that is neither letter, digit nor space.
  private static let punctuation = ScalarSet(
    traits: .punctuation, ranges: [0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E])

  private static func metaspace(_ field: ComponentField) throws(TokenizerError) -> PreTokenizer {
    let replacement = try field.string("replacement", default: "▁")
    guard replacement.unicodeScalars.count == 1 else { throw field.error("the replacement is not one character") }
    let prefix: MetaspacePrefix
    if let scheme = field["prepend_scheme"] {
      switch try scheme.string() {
      case "always": prefix = .always
      case "first": prefix = .first
      case "never": prefix = .never
      default: throw scheme.error("expected “always”, “first” or “never”")
      }
    } else {
      prefix = try field.bool("add_prefix_space", default: true) ? .always : .never
    }
    return .metaspace(replacement: Array(replacement.utf8), prefix, splits: try field.bool("split", default: true))
  }
}
