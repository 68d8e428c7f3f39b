/// The splitting patterns of the well-known byte-level tokenizers, as hand-written scanners that look at each scalar once.
///
/// Each pattern covers every text: the words it finds, put together, are the text.
enum WordPattern: Sendable, Hashable {
  /// GPT-2's: contractions in lower case, letters, numbers of any length, the rest, white space.
  case gpt2
  /// GPT-4's `cl100k` as Llama 3 (`digits` 3) and Qwen 2 (`digits` 1) have it.
  case cl100k(digits: Int)

  /// The pattern with this regular expression, where it is one of the known ones.
  init?(expression: String) {
    guard let known = WordPattern.expressions[expression] else { return nil }
    self = known
  }

  /// The regular expression of GPT-2's pattern.
  static let gpt2Expression = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  /// The regular expression of the `cl100k` family.
  static func cl100kExpression(digits: Int) -> String {
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + (digits == 1 ? #"\p{N}"# : "\\p{N}{1,\(digits)}")
      + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  }

  private static let expressions: [String: WordPattern] = [
    gpt2Expression: .gpt2,
    cl100kExpression(digits: 1): .cl100k(digits: 1),
    cl100kExpression(digits: 3): .cl100k(digits: 3),
  ]

  /// Calls `word` with the bounds of each word of `text[range]`, in order. `text` is well-formed UTF-8.
  func scan(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ word: (Int, Int) -> Void) {
    let scanner = WordScanner(text: UnsafeBufferPointer(rebasing: text[..<range.upperBound]))
    var start = range.lowerBound
    while start < range.upperBound {
      let end =
        switch self {
        case .gpt2: scanner.gpt2Word(at: start)
        case .cl100k(let digits): scanner.cl100kWord(at: start, digits: digits)
        }
      word(start, end)
      start = end
    }
  }
}

/// Finds the end of the word that starts at a place of a text.
private struct WordScanner {
  let text: UnsafeBufferPointer<UInt8>
  let traits = ScalarTraits.Reader()

  private static let notOther: ScalarTraits = [.letter, .number, .whitespace]

  @inline(__always)
  private func scalar(at index: Int) -> (traits: ScalarTraits, length: Int) {
    let (value, length) = UTF8Scalars.scalar(in: text, at: index)
    return (traits[value], length)
  }

  func gpt2Word(at start: Int) -> Int {
    if text[start] == UInt8(ascii: "'"), let end = contraction(at: start, foldingCase: false) { return end }
    var first = start
    if text[start] == UInt8(ascii: " "), start + 1 < text.count { first += 1 }
    let (kind, _) = scalar(at: first)
    if kind.meets(.letter) { return run(of: .letter, from: first) }
    if kind.meets(.number) { return run(of: .number, from: first) }
    if !kind.meets(.whitespace) { return runOfOthers(from: first) }
    return spaces(from: start, upToNewline: false)
  }

  func cl100kWord(at start: Int, digits: Int) -> Int {
    if text[start] == UInt8(ascii: "'"), let end = contraction(at: start, foldingCase: true) { return end }
    let (kind, length) = scalar(at: start)
    if kind.meets(.letter) { return run(of: .letter, from: start) }
    if kind.meets(.number) { return run(of: .number, from: start, limit: digits) }
    let isNewline = text[start] == 0x0A || text[start] == 0x0D
    let second = start + length
    if second < text.count, !isNewline {
      let (next, _) = scalar(at: second)
      if next.meets(.letter) { return run(of: .letter, from: second) }
      if text[start] == UInt8(ascii: " "), !next.meets(WordScanner.notOther) { return newlines(from: runOfOthers(from: second)) }
    }
    if !kind.meets(.whitespace) { return newlines(from: runOfOthers(from: start)) }
    return spaces(from: start, upToNewline: true)
  }

  private func run(of kind: ScalarTraits, from start: Int, limit: Int = .max) -> Int {
    var (index, count) = (start, 0)
    while index < text.count, count < limit {
      let (found, length) = scalar(at: index)
      guard found.meets(kind) else { break }
      index += length
      count += 1
    }
    return index
  }

  private func runOfOthers(from start: Int) -> Int {
    var index = start
    while index < text.count {
      let (found, length) = scalar(at: index)
      if found.meets(WordScanner.notOther) { break }
      index += length
    }
    return index
  }

  private func newlines(from start: Int) -> Int {
    var index = start
    while index < text.count, text[index] == 0x0A || text[index] == 0x0D { index += 1 }
    return index
  }

  /// `\s*[\r\n]+` where asked for, then `\s+(?!\S)`, then `\s+`: a run of white space leaves its last scalar to the word after it.
  private func spaces(from start: Int, upToNewline: Bool) -> Int {
    var (index, last, afterNewline) = (start, start, start)
    while index < text.count {
      let (found, length) = scalar(at: index)
      guard found.meets(.whitespace) else { break }
      last = index
      index += length
      if text[last] == 0x0A || text[last] == 0x0D { afterNewline = index }
    }
    if upToNewline, afterNewline > start { return afterNewline }
    return index == text.count || last == start ? index : last
  }

  /// The end of `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d` at `start`.
  private func contraction(at start: Int, foldingCase: Bool) -> Int? {
    let rest = text.count - start - 1
    guard rest > 0 else { return nil }
    let fold: UInt8 = foldingCase ? 0x20 : 0
    if foldingCase, rest > 1, text[start + 1] == 0xC5, text[start + 2] == 0xBF { return start + 3 }  // ſ folds to s
    let first = text[start + 1] | fold
    switch first {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
    case UInt8(ascii: "r"), UInt8(ascii: "v"):
      return rest > 1 && text[start + 2] | fold == UInt8(ascii: "e") ? start + 3 : nil
    case UInt8(ascii: "l"): return rest > 1 && text[start + 2] | fold == first ? start + 3 : nil
    default: return nil
    }
  }
}
