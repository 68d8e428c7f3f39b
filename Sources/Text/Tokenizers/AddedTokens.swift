/// A token that is looked for in the text itself, before anything is split or merged.
struct AddedToken: Sendable, Hashable {
  var id: Int32
  var content: String
  var isSpecial = false
  /// Matched only where no word character stands on either side.
  var isSingleWord = false
  /// Takes the white space before it.
  var stripsLeft = false
  /// Takes the white space after it.
  var stripsRight = false
  /// Matched in the normalized text instead of the raw one.
  var isNormalized = false
}

/// Finds added tokens in a text: the leftmost, and of those the longest.
struct AddedTokenFinder: Sendable {
  /// A stretch of text, or a token found.
  enum Section: Sendable, Hashable {
    case text(Range<Int>)
    case token(Int32)
  }

  private struct Entry: Sendable {
    var content: [UInt8]
    var token: AddedToken
  }

  /// In ascending order of content, so that a prefix narrows them to a range.
  private let entries: [Entry]
  private let firstBytes: [Bool]

  /// - Parameter tokens: each with the bytes it is looked for by. Empty ones are left out; of equal ones the first counts.
  init(_ tokens: [(content: [UInt8], token: AddedToken)]) {
    var seen = Set<[UInt8]>()
    entries = tokens.filter { !$0.content.isEmpty && seen.insert($0.content).inserted }
      .map { Entry(content: $0.content, token: $0.token) }
      .sorted { $0.content.lexicographicallyPrecedes($1.content) }
    var firstBytes = Array(repeating: false, count: 256)
    for entry in entries { firstBytes[Int(entry.content[0])] = true }
    self.firstBytes = firstBytes
  }

  var isEmpty: Bool { entries.isEmpty }

  /// The sections of `text`, in order; no stretch of text is empty.
  func sections(of text: [UInt8]) -> [Section] {
    guard !entries.isEmpty else { return text.isEmpty ? [] : [.text(0..<text.count)] }
    return text.withUnsafeBufferPointer { sections(of: $0) }
  }

  private func sections(of text: UnsafeBufferPointer<UInt8>) -> [Section] {
    var sections: [Section] = []
    let traits = ScalarTraits.Reader()
    var (done, index) = (0, 0)
    while index < text.count {
      guard firstBytes[Int(text[index])], let entry = longest(in: text, at: index) else {
        index += 1
        continue
      }
      var (start, end) = (index, index + entry.content.count)
      index = end
      let token = entry.token
      if token.isSingleWord, isWord(before: start, in: text, traits) || isWord(at: end, in: text, traits) { continue }
      if token.stripsLeft {
        while start > done, let before = whitespace(before: start, in: text, traits) { start = before }
        start = max(start, done)
      }
      if token.stripsRight {
        while let after = whitespace(at: end, in: text, traits) { end = after }
      }
      if done < start { sections.append(.text(done..<start)) }
      sections.append(.token(token.id))
      done = end
    }
    if done < text.count { sections.append(.text(done..<text.count)) }
    return sections
  }

  /// The longest entry that `text` has at `start`.
  private func longest(in text: UnsafeBufferPointer<UInt8>, at start: Int) -> Entry? {
    var candidates = 0..<entries.count
    var found: Entry?
    var depth = 0
    while !candidates.isEmpty {
      let first = entries[candidates.lowerBound]
      if first.content.count == depth {
        found = first
        candidates = candidates.dropFirst()
      }
      guard start + depth < text.count else { break }
      let byte = text[start + depth]
      let lower = bound(in: candidates) { $0.content[depth] < byte }
      candidates = lower..<bound(in: lower..<candidates.upperBound) { $0.content[depth] <= byte }
      depth += 1
    }
    return found
  }

  /// The first index of `candidates` whose entry does not meet `isBelow`.
  private func bound(in candidates: Range<Int>, where isBelow: (Entry) -> Bool) -> Int {
    var (low, high) = (candidates.lowerBound, candidates.upperBound)
    while low < high {
      let middle = low + (high - low) / 2
      if isBelow(entries[middle]) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private func whitespace(before index: Int, in text: UnsafeBufferPointer<UInt8>, _ traits: ScalarTraits.Reader) -> Int? {
    guard index > 0 else { return nil }
    let start = UTF8Scalars.boundary(before: index, in: text)
    return traits[UTF8Scalars.scalar(in: text, at: start).value].meets(.whitespace) ? start : nil
  }

  private func whitespace(at index: Int, in text: UnsafeBufferPointer<UInt8>, _ traits: ScalarTraits.Reader) -> Int? {
    guard index < text.count else { return nil }
    let (value, length) = UTF8Scalars.scalar(in: text, at: index)
    return traits[value].meets(.whitespace) ? index + length : nil
  }

  /// A word character as Unicode defines it for regular expressions (UTS #18).
  private static let word = ScalarSet(
    traits: [.alphabetic, .mark, ScalarTraits.category("Nd") ?? [], ScalarTraits.category("Pc") ?? []], ranges: [0x200C...0x200D])

  private func isWord(at index: Int, in text: UnsafeBufferPointer<UInt8>, _ traits: ScalarTraits.Reader) -> Bool {
    guard index < text.count else { return false }
    return AddedTokenFinder.word.contains(UTF8Scalars.scalar(in: text, at: index).value, traits)
  }

  private func isWord(before index: Int, in text: UnsafeBufferPointer<UInt8>, _ traits: ScalarTraits.Reader) -> Bool {
    index > 0 && isWord(at: UTF8Scalars.boundary(before: index, in: text), in: text, traits)
  }
}

extension AddedToken {
  /// An element of `added_tokens`.
  init(_ field: ComponentField) throws(TokenizerError) {
    self.init(
      id: try field.required("id").tokenID(), content: try field.required("content").string(),
      isSpecial: try field.bool("special", default: false), isSingleWord: try field.bool("single_word", default: false),
      stripsLeft: try field.bool("lstrip", default: false), stripsRight: try field.bool("rstrip", default: false),
      isNormalized: try field.bool("normalized", default: true))
  }

  /// The token as `tokenizer.json` lists it.
  var json: JSON {
    [
      "id": .int(Int(id)), "content": .string(content), "single_word": .bool(isSingleWord), "lstrip": .bool(stripsLeft),
      "rstrip": .bool(stripsRight), "normalized": .bool(isNormalized), "special": .bool(isSpecial),
    ]
  }
}
