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
  /// The offsets are found by laying the bytes of the tokens along the text, which proves them. Three liberties that tokenizers take
  /// are known: a space that SentencePiece puts before the first piece, and white space that an added token swallows on its left or
  /// right. Pieces may be parts of a character; then several offsets lie inside it.
  ///
  /// - Throws: ``OffsetMismatch`` where pieces and text disagree.
  public func encodeWithOffsets(_ text: String) throws(OffsetMismatch) -> (ids: [Int32], offsets: [Int]) {
    let ids = encode(text, addSpecialTokens: false)
    let bytes = Array(text.utf8)
    do throws(OffsetMismatch) {
      return (ids, try offsets(of: ids, in: bytes, prefixSpace: .never))
    } catch {
      for prefixSpace in [PrefixSpace.atStart, .atSeams] {
        if let offsets = try? offsets(of: ids, in: bytes, prefixSpace: prefixSpace) { return (ids, offsets) }
      }
      throw error
    }
  }

  private func offsets(of ids: [Int32], in text: [UInt8], prefixSpace: PrefixSpace) throws(OffsetMismatch) -> [Int] {
    var walk = TokenWalk(text: text, prefixSpace: prefixSpace)
    var offsets: [Int] = []
    offsets.reserveCapacity(ids.count)
    for (index, id) in ids.enumerated() {
      guard let offset = walk.take(id, of: self) else { throw OffsetMismatch(offset: walk.position, token: index) }
      offsets.append(offset)
    }
    guard walk.isFinished else { throw OffsetMismatch(offset: walk.position, token: nil) }
    return offsets
  }
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

/// Lays tokens along a text.
private struct TokenWalk {
  let text: [UInt8]
  let prefixSpace: PrefixSpace
  private(set) var position = 0
  private var isFirst = true
  /// At the start of the text or behind an added token.
  private var isAtSeam = true

  init(text: [UInt8], prefixSpace: PrefixSpace) {
    self.text = text
    self.prefixSpace = prefixSpace
  }

  /// True when nothing is left but white space that an added token at the end has swallowed.
  var isFinished: Bool { position == text.count || (isAtSeam && !isFirst && afterSpace == text.count) }

  /// Where the white space at this place ends.
  private var afterSpace: Int {
    text[position...].firstIndex { $0 != 0x20 && !(0x09...0x0D).contains($0) } ?? text.count
  }

  /// Where the token begins; nil where it does not fit.
  mutating func take(_ id: Int32, of tokenizer: some Tokenizer) -> Int? {
    let isSpecial = tokenizer.isSpecial(id)
    if !isSpecial, let start = takePiece(tokenizer.bytes(of: id)) { return start }
    guard let spelling = tokenizer.token(of: id), !spelling.isEmpty else { return nil }
    return takeAddedToken(Array(spelling.utf8))
  }

  private mutating func takePiece(_ bytes: [UInt8]) -> Int? {
    let hasPrefix = prefixSpace == .atSeams ? isAtSeam : prefixSpace == .atStart && isFirst
    let piece = hasPrefix && bytes.first == 0x20 ? bytes[1...] : bytes[...]
    guard !bytes.isEmpty, let start = step(over: piece, swallowing: isAtSeam && !isFirst) else { return nil }
    isAtSeam = false
    isFirst = false
    return start
  }

  private mutating func takeAddedToken(_ spelling: [UInt8]) -> Int? {
    guard let start = step(over: spelling[...], swallowing: true) else { return nil }
    isAtSeam = true
    isFirst = false
    return start
  }

  /// Steps over `piece` where it stands here, or behind white space that an added token may have swallowed.
  private mutating func step(over piece: ArraySlice<UInt8>, swallowing: Bool) -> Int? {
    for start in swallowing ? [position, afterSpace] : [position] where text[start...].starts(with: piece) {
      position = start + piece.count
      return start
    }
    return nil
  }
}
