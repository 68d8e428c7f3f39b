/// Says that a tokenizer's pieces do not spell the text they came from, so that it cannot be told where each token begins.
///
/// This is so where a tokenizer normalises (lower case, Unicode composition) or has no piece for a character.
public struct OffsetMismatch: Error, Sendable, Hashable, CustomStringConvertible {
  /// The UTF-8 offset in the text up to which pieces and text agree.
  public let offset: Int
  /// The place of the token that disagrees; nil where the tokens end before the text.
  public let token: Int?

  /// What is said to people.
  public var description: String {
    let what = token.map { "token \($0) does not spell the text" } ?? "the tokens end before the text"
    return "\(what) at byte \(offset)"
  }
}

extension Tokenizer {
  /// The ids of `text`, without the special tokens that surround a text, and the UTF-8 offset at which each of them begins.
  ///
  /// - Throws: ``OffsetMismatch`` where pieces and text disagree.
  public func encodeWithOffsets(_ text: String) throws(OffsetMismatch) -> (ids: [Int32], offsets: [Int]) {
    let ids = encode(text, addSpecialTokens: false)
    return (ids, try TokenWalk.offsets(of: ids, in: text, TokenizerPieces(tokenizer: self)))
  }
}

/// Knows what each token spells.
protocol TokenPieceSource {
  /// True for a token that is found in a text by its spelling alone.
  func isSpecial(_ id: Int32) -> Bool
  /// Calls `body` with the bytes that an id stands for inside a text.
  func withBytes<Result>(of id: Int32, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result
  /// The spelling of an id in the vocabulary.
  func token(of id: Int32) -> String?
}

/// The pieces of any tokenizer, asked for one by one.
private struct TokenizerPieces<Source: Tokenizer>: TokenPieceSource {
  let tokenizer: Source

  func isSpecial(_ id: Int32) -> Bool { tokenizer.isSpecial(id) }

  func withBytes<Result>(of id: Int32, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    tokenizer.bytes(of: id).withUnsafeBufferPointer(body)
  }

  func token(of id: Int32) -> String? { tokenizer.token(of: id) }
}

/// Where a tokenizer puts a space that the text does not have.
private enum PrefixSpace {
  /// Nowhere.
  case never
  /// Before the first piece.
  case atStart
  /// Before the first piece and after every added token.
  case atSeams
}

/// Lays the bytes of tokens along a text, which proves where each begins.
///
/// Three liberties that tokenizers take are known: a space that SentencePiece puts before the first piece, and white space that an
/// added token swallows on its left or right. Pieces may be parts of a character; then several offsets lie inside it.
struct TokenWalk {
  private let text: UnsafeBufferPointer<UInt8>
  private let prefixSpace: PrefixSpace
  private var position = 0
  private var isFirst = true
  /// At the start of the text or behind an added token.
  private var isAtSeam = true

  private init(text: UnsafeBufferPointer<UInt8>, prefixSpace: PrefixSpace) {
    self.text = text
    self.prefixSpace = prefixSpace
  }

  /// The UTF-8 offset in `text` at which each of `ids` begins.
  static func offsets(
    of ids: [Int32], in text: String, _ pieces: some TokenPieceSource
  ) throws(OffsetMismatch) -> [Int] {
    var text = text
    let result = text.withUTF8 { text in
      let plain = offsets(of: ids, in: text, pieces, prefixSpace: .never)
      guard case .failure = plain else { return plain }
      for prefixSpace in [PrefixSpace.atStart, .atSeams] {
        let other = offsets(of: ids, in: text, pieces, prefixSpace: prefixSpace)
        if case .success = other { return other }
      }
      return plain
    }
    return try result.get()
  }

  private static func offsets(
    of ids: [Int32], in text: UnsafeBufferPointer<UInt8>, _ pieces: some TokenPieceSource, prefixSpace: PrefixSpace
  ) -> Result<[Int], OffsetMismatch> {
    var walk = TokenWalk(text: text, prefixSpace: prefixSpace)
    var offsets: [Int] = []
    offsets.reserveCapacity(ids.count)
    for (index, id) in ids.enumerated() {
      guard let offset = walk.take(id, of: pieces) else {
        return .failure(OffsetMismatch(offset: walk.position, token: index))
      }
      offsets.append(offset)
    }
    return walk.isFinished ? .success(offsets) : .failure(OffsetMismatch(offset: walk.position, token: nil))
  }

  /// True when nothing is left but white space that an added token at the end has swallowed.
  private var isFinished: Bool { position == text.count || (isAtSeam && !isFirst && afterSpace == text.count) }

  /// Where the white space at this place ends.
  private var afterSpace: Int {
    text[position...].firstIndex { $0 != 0x20 && !(0x09...0x0D).contains($0) } ?? text.count
  }

  /// Where the token begins; nil where it does not fit.
  @inline(__always)
  private mutating func take(_ id: Int32, of pieces: some TokenPieceSource) -> Int? {
    if !pieces.isSpecial(id), let start = pieces.withBytes(of: id, { takePiece($0) }) { return start }
    guard let spelling = pieces.token(of: id), !spelling.isEmpty else { return nil }
    return takeAddedToken(spelling)
  }

  @inline(__always)
  private mutating func takePiece(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    let hasPrefix = prefixSpace == .atSeams ? isAtSeam : prefixSpace == .atStart && isFirst
    let piece = hasPrefix && bytes.first == 0x20 ? UnsafeBufferPointer(rebasing: bytes.dropFirst()) : bytes
    guard !bytes.isEmpty, let start = step(over: piece, swallowing: isAtSeam && !isFirst) else { return nil }
    isAtSeam = false
    isFirst = false
    return start
  }

  private mutating func takeAddedToken(_ spelling: String) -> Int? {
    var spelling = spelling
    guard let start = spelling.withUTF8({ step(over: $0, swallowing: true) }) else { return nil }
    isAtSeam = true
    isFirst = false
    return start
  }

  /// Steps over `piece` where it stands here, or behind white space that an added token may have swallowed.
  @inline(__always)
  private mutating func step(over piece: UnsafeBufferPointer<UInt8>, swallowing: Bool) -> Int? {
    var start = position
    if !has(piece, at: start) {
      guard swallowing else { return nil }
      start = afterSpace
      guard has(piece, at: start) else { return nil }
    }
    position = start + piece.count
    return start
  }

  @inline(__always)
  private func has(_ piece: UnsafeBufferPointer<UInt8>, at start: Int) -> Bool {
    guard piece.count <= text.count - start else { return false }
    return ByteHash.equal(piece, UnsafeBufferPointer(rebasing: text[start..<start + piece.count]))
  }
}
