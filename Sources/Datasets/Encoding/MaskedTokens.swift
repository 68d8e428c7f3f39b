import Text

/// Token ids with their mask, before anything is cut.
struct MaskedTokens: Sendable {
  var ids: [Int32]
  var trained: [Bool]
  /// Prompt and completion were encoded apart, since together they join over the border.
  var isSplitAtBorder = false

  /// All of `ids`, learnt or not.
  init(ids: [Int32], trained: Bool) {
    self.ids = ids
    self.trained = Array(repeating: trained, count: ids.count)
  }

  /// The tokens of `text`, learnt where they begin inside one of `spans`.
  ///
  /// A token that begins before a span and reaches into it is not learnt: at generation the prompt ends where the span begins, so this
  /// token never is the answer's first one. A token that begins inside and reaches beyond is learnt.
  ///
  /// Where the tokenizer does not spell its text (it normalises), the border of each span is found by encoding the text up to it, which
  /// has to give the first tokens of the whole.
  ///
  /// - Parameter spans: ranges of UTF-8 offsets, ascending, not overlapping.
  /// - Throws: ``SpanError`` where a span is no range of the text or its borders cannot be found.
  init(text: String, spans: [Range<Int>], tokenizer: any Tokenizer) throws(SpanError) {
    var end = 0
    for span in spans {
      guard span.lowerBound >= end, span.upperBound <= text.utf8.count else { throw .outside(span) }
      end = span.upperBound
    }
    do {
      let (ids, offsets) = try tokenizer.encodeWithOffsets(text)
      self.init(ids: ids, trained: false)
      mark(spans) { border in offsets.firstIndex(from: border) }
    } catch {
      self.init(ids: tokenizer.encode(text, addSpecialTokens: false), trained: false)
      var borders: [Int: Int] = [:]
      for border in spans.flatMap({ [$0.lowerBound, $0.upperBound] }) {
        borders[border] = try Self.tokens(before: border, of: text, ids: ids, tokenizer: tokenizer)
      }
      mark(spans) { border in borders[border] ?? 0 }
    }
  }

  private mutating func mark(_ spans: [Range<Int>], token: (Int) -> Int) {
    for span in spans {
      let first = token(span.lowerBound)
      for index in first..<max(first, token(span.upperBound)) { trained[index] = true }
    }
  }

  /// How many of `ids` stand before the offset `border`.
  private static func tokens(
    before border: Int, of text: String, ids: [Int32], tokenizer: any Tokenizer
  ) throws(SpanError) -> Int {
    guard let head = String(text.utf8.prefix(border)) else { throw .insideCharacter(border) }
    let start = tokenizer.encode(head, addSpecialTokens: false)
    guard ids.starts(with: start) else { throw .joined(border) }
    return start.count
  }

  /// Puts a token at the end.
  mutating func append(_ id: Int32, trained isTrained: Bool) {
    ids.append(id)
    trained.append(isTrained)
  }

  /// Puts tokens that are not learnt at the start.
  mutating func prepend(_ prefix: [Int32]) {
    ids.insert(contentsOf: prefix, at: 0)
    trained.insert(contentsOf: repeatElement(false, count: prefix.count), at: 0)
  }
}

/// Why spans of a text could not be found among its tokens.
enum SpanError: Error, CustomStringConvertible {
  case outside(Range<Int>)
  case insideCharacter(Int)
  case joined(Int)

  var description: String {
    switch self {
    case .outside(let span): "the span of bytes \(span) is not a part of the rendered text"
    case .insideCharacter(let offset): "a span begins or ends inside a character, at byte \(offset)"
    case .joined(let offset): "the tokenizer rewrites this text and joins it over byte \(offset), where a turn begins or ends"
    }
  }
}

extension [Int] {
  /// The first index, in an ascending list, whose value is not below `value`.
  fileprivate func firstIndex(from value: Int) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if self[middle] < value { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
