/// Turns ids into text one by one, never ending in part of a character.
///
/// What ``push(_:)`` returns, put together with what ``finish()`` returns, is what `decode` makes of the same ids. Text is held
/// back only where later ids may still change it: the first bytes of a character, and runs of `<0xXX>` tokens.
public struct StreamingDecoder: Sendable {
  /// The spelling that an id contributes; nil for one that is left out.
  private let spelling: @Sendable (Int32) -> [UInt8]?
  private var stages: [DecodingStage]
  private var unfinished: [UInt8] = []

  init(steps: [DecodingStep], spelling: @escaping @Sendable (Int32) -> [UInt8]?) {
    self.spelling = spelling
    var isFused = false
    stages = []
    for step in steps {
      if step != .fuse { stages.append(DecodingStage(step: step, isFused: isFused)) }
      if step == .fuse || step == .byteLevel { isFused = true }
    }
  }

  /// The text that is certain once `id` has come; often empty.
  public mutating func push(_ id: Int32) -> String {
    take(id)
    return completeText()
  }

  /// The text of all of `ids`.
  mutating func text(of ids: some Sequence<Int32>) -> String {
    for id in ids { take(id) }
    return finish()
  }

  private mutating func take(_ id: Int32) {
    if let spelling = spelling(id) { pass(spelling, from: 0) }
  }

  /// The rest of the text. The decoder starts afresh after it.
  public mutating func finish() -> String {
    for index in stages.indices {
      if let rest = stages[index].finish() { for piece in rest { pass(piece, from: index + 1) } }
    }
    defer { unfinished.removeAll(keepingCapacity: true) }
    return String(decoding: unfinished, as: UTF8.self)
  }

  private mutating func pass(_ piece: [UInt8], from stage: Int) {
    guard stage < stages.count else {
      unfinished.append(contentsOf: piece)
      return
    }
    for result in stages[stage].push(piece) { pass(result, from: stage + 1) }
  }

  /// Takes everything but a character that has begun and not ended.
  private mutating func completeText() -> String {
    var end = unfinished.count
    for index in unfinished.indices.suffix(3).reversed() where unfinished[index] >= 0xC0 {
      if index + UTF8Scalars.length(startingWith: unfinished[index]) > unfinished.count { end = index }
      break
    }
    let text = String(decoding: unfinished[..<end], as: UTF8.self)
    unfinished.removeSubrange(..<end)
    return text
  }
}

/// A decoding step with what it has to remember between tokens.
private struct DecodingStage: Sendable {
  let step: DecodingStep
  /// What comes in are parts of one text instead of tokens.
  let isFused: Bool
  private var isAtStart = true
  private var stripped = 0
  private var held: [UInt8] = []

  init(step: DecodingStep, isFused: Bool) {
    self.step = step
    self.isFused = isFused
  }

  mutating func push(_ piece: [UInt8]) -> [[UInt8]] {
    switch step {
    case .byteLevel: return [piece.withUnsafeBufferPointer { ByteAlphabet.bytes(of: $0) } ?? piece]
    case .byteFallback: return isFused ? [piece] : pushFallback(piece)
    case .fuse: return [piece]
    case .metaspace(let replacement, let dropsFirst):
      let isFirst = isAtStart
      if !isFused { isAtStart = false }
      return [piece.replacing(replacement, with: isFirst && dropsFirst ? [] : [0x20])]
    case .joinedBySpaces:
      defer { isAtStart = false }
      return [isAtStart ? piece : [0x20] + piece]
    case .replace(let literal, let content):
      return isFused ? pushReplacing(literal, content, piece) : [piece.replacing(literal, with: content)]
    case .strip(let content, let start, let stop):
      guard isFused else { return [piece.stripping(content, start: start, stop: stop)] }
      return pushStripping(content, start, stop, piece)
    }
  }

  /// What was held back; the stage starts afresh.
  mutating func finish() -> [[UInt8]]? {
    defer { self = DecodingStage(step: step, isFused: isFused) }
    guard !held.isEmpty else { return nil }
    switch step {
    case .byteFallback: return releaseFallback()
    case .replace: return [held]
    default: return nil
    }
  }

  private mutating func pushFallback(_ piece: [UInt8]) -> [[UInt8]] {
    if let byte = DecodingStep.byte(spelt: piece) {
      held.append(byte)
      return []
    }
    return releaseFallback() + [piece]
  }

  private mutating func releaseFallback() -> [[UInt8]] {
    guard !held.isEmpty else { return [] }
    defer { held.removeAll(keepingCapacity: true) }
    if String(validating: held, as: UTF8.self) != nil { return [held] }
    return Array(repeating: Array("\u{FFFD}".utf8), count: held.count)
  }

  private mutating func pushReplacing(_ literal: [UInt8], _ content: [UInt8], _ piece: [UInt8]) -> [[UInt8]] {
    let text = held + piece
    var (result, index): ([UInt8], Int) = ([], 0)
    while index < text.count {
      let rest = text[index...]
      if rest.starts(with: literal) {
        result += content
        index += literal.count
      } else if rest.count < literal.count, literal.starts(with: rest) {
        break
      } else {
        result.append(text[index])
        index += 1
      }
    }
    held = Array(text[index...])
    return result.isEmpty ? [] : [result]
  }

  private mutating func pushStripping(_ content: [UInt8], _ start: Int, _ stop: Int, _ piece: [UInt8]) -> [[UInt8]] {
    var text = (held + piece)[...]
    while isAtStart, stripped < start, text.starts(with: content) {
      text = text.dropFirst(content.count)
      stripped += 1
    }
    if stripped == start || !text.isEmpty { isAtStart = false }
    let kept = Array(text).stripping(content, start: 0, stop: stop)
    held = Array(text.dropFirst(kept.count))
    return kept.isEmpty ? [] : [kept]
  }
}

extension [UInt8] {
  func replacing(_ literal: [UInt8], with content: [UInt8]) -> [UInt8] {
    guard literal.count <= count else { return self }
    var (result, index): ([UInt8], Int) = ([], 0)
    while index < count {
      if self[index] == literal[0], self[index...].starts(with: literal) {
        result += content
        index += literal.count
      } else {
        result.append(self[index])
        index += 1
      }
    }
    return result
  }

  fileprivate func stripping(_ content: [UInt8], start: Int, stop: Int) -> [UInt8] {
    var rest = self[...]
    for _ in 0..<start {
      guard rest.starts(with: content) else { break }
      rest = rest.dropFirst(content.count)
    }
    for _ in 0..<stop {
      guard rest.suffix(content.count).elementsEqual(content) else { break }
      rest = rest.dropLast(content.count)
    }
    return Array(rest)
  }
}

extension StreamingDecoder {
  /// A decoder for a tokenizer whose text is the bytes of its ids one after the other.
  init(bytesOf tokenizer: some Tokenizer, skipSpecialTokens: Bool) {
    self.init(steps: []) { id in
      if skipSpecialTokens, tokenizer.isSpecial(id) { return nil }
      return tokenizer.token(of: id) == nil ? Array("\u{FFFD}".utf8) : tokenizer.bytes(of: id)
    }
  }
}

extension Tokenizer {
  /// A decoder that gives the bytes of the ids one after the other.
  public func streamingDecoder(skipSpecialTokens: Bool) -> StreamingDecoder {
    StreamingDecoder(bytesOf: self, skipSpecialTokens: skipSpecialTokens)
  }
}
