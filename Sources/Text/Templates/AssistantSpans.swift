import OrderedCollections

/// Why it cannot be told which part of a conversation is the assistant's.
public struct AssistantSpanError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The place of the message in the conversation, from 0.
  public let message: Int
  /// What stands in the way.
  public let reason: String

  /// The message, then what stands in the way.
  public var description: String {
    "message \(message + 1), an assistant's turn, cannot be found in what the chat template renders: \(reason)"
  }
}

/// Renders a conversation and finds what the assistant says in it.
///
/// A span starts after the generation prompt, where a model that is asked to answer would start, and ends with the end-of-turn
/// marker. White space after the marker, such as the line break after ChatML's `<|im_end|>`, is no part of it: a model never
/// generates it. Nor is a token that the template puts only after a whole text, such as Phi-3's `<|endoftext|>`. A template without
/// a marker keeps the white space, which is then all that ends the turn.
///
/// Where the template has `{% generation %}` blocks, they decide, unchanged. Otherwise each turn *i* is found in one of two ways:
/// 1. The rendering of the messages before *i*, with the generation prompt, and the rendering up to and with *i* are both prefixes
///    of the whole. What lies between them is the turn.
/// 2. Where the template renders a turn differently once others follow (reasoning that is dropped, a system prompt that moves to
///    the last user turn), the turn's text is replaced by a sentinel that occurs nowhere else. What then differs from the whole is
///    the turn's text, and what surrounds the sentinel is known from the shorter renderings.
///
/// - Parameters:
///   - messages: the conversation.
///   - tools: JSON schemas of the tools on offer; nil for none.
///   - renderer: the model's template.
/// - Returns: the whole rendering without generation prompt, and a UTF-8 range of it for each assistant's turn, in order.
/// - Throws: what the renderer throws; ``AssistantSpanError`` where neither way gives a safe answer.
public func assistantSpans(
  of messages: [Message], tools: [JSON]?, using renderer: any ChatRenderer
) throws -> (text: String, spans: [Range<Int>]) {
  if let marking = renderer as? any AssistantMarkingRenderer,
    let marked = try marking.renderMarkingAssistant(messages, tools: tools)
  {
    return (marked.text, marked.spans.filter { !$0.isEmpty })
  }
  let text = try renderer.render(messages, tools: tools, addGenerationPrompt: false)
  let renderings = Renderings(messages: messages, tools: tools, renderer: renderer, whole: Array(text.utf8))
  let finder = AssistantSpanFinder(messages: messages, renderings: renderings)
  var spans: [Range<Int>] = []
  for place in messages.indices where messages[place].role == "assistant" {
    let span = try finder.span(of: place)
    guard span.lowerBound >= spans.last?.upperBound ?? 0 else {
      throw AssistantSpanError(message: place, reason: "it would overlap the turn before it")
    }
    spans.append(span)
  }
  return (text, spans)
}

/// The renderings of the beginnings of one conversation. The last ones made are kept: each is asked for several times.
private final class Renderings {
  private static let keptCount = 4

  /// The whole conversation, without generation prompt.
  let whole: [UInt8]
  private let messages: [Message]
  private let tools: [JSON]?
  private let renderer: any ChatRenderer
  private var kept: [(count: Int, hasPrompt: Bool, result: Result<[UInt8], any Error>)] = []

  init(messages: [Message], tools: [JSON]?, renderer: any ChatRenderer, whole: [UInt8]) {
    (self.messages, self.tools, self.renderer, self.whole) = (messages, tools, renderer, whole)
  }

  /// The first `count` messages.
  func render(first count: Int, prompt: Bool) throws -> [UInt8] {
    if count == messages.count, !prompt { return whole }
    if let known = kept.first(where: { $0.count == count && $0.hasPrompt == prompt }) { return try known.result.get() }
    let result = Result { try render(messages[..<count], prompt: prompt) }
    if kept.count == Self.keptCount { kept.removeFirst() }
    kept.append((count, prompt, result))
    return try result.get()
  }

  /// Any messages.
  func render(_ messages: ArraySlice<Message>, prompt: Bool) throws -> [UInt8] {
    Array(try renderer.render(Array(messages), tools: tools, addGenerationPrompt: prompt).utf8)
  }
}

/// Finds one turn after another in a rendering.
private struct AssistantSpanFinder {
  let messages: [Message]
  let renderings: Renderings

  private var whole: [UInt8] { renderings.whole }

  func span(of place: Int) throws -> Range<Int> {
    let before = try? renderings.render(first: place, prompt: true)
    if let before, whole.begins(with: before), let turn = try? stableTurn(place, after: before) { return turn }
    var reason: String?
    for mark in marks(in: messages[place]) {
      do {
        return try replacedTurn(place, by: mark, after: before)
      } catch let failure as Failure {
        reason = reason ?? failure.reason
      } catch {
        reason = reason ?? "a shorter conversation cannot be rendered (\(error))"
      }
    }
    throw AssistantSpanError(message: place, reason: reason ?? "it holds neither text nor a tool call")
  }

  /// Why one way did not lead to the turn.
  private struct Failure: Error {
    let reason: String
  }

  // MARK: where a turn ends

  /// What a template may put after a conversation that ends with the turn: nothing, or the opening of another answer.
  private struct Endings {
    let ended: [UInt8]
    let continued: [UInt8]?
    let prompt: [UInt8]?

    /// What the text up to the end of the turn may be, if others follow: without what only ends a text, and without the
    /// generation prompt.
    var insides: [[UInt8]] {
      guard let continued, !continued.begins(with: ended) else { return [ended] }
      if ended.begins(with: continued) { return [ended, continued] }
      guard let prompt, !prompt.isEmpty, continued.reversed().starts(with: prompt.reversed()) else { return [] }
      return [Array(continued.dropLast(prompt.count))]
    }
  }

  private func endings(_ place: Int) throws -> Endings {
    Endings(
      ended: try renderings.render(first: place + 1, prompt: false),
      continued: try? renderings.render(first: place + 1, prompt: true), prompt: prompt(before: place))
  }

  /// What asks for an answer after the messages before `place`; nil where the template changes more than the end.
  private func prompt(before place: Int) -> [UInt8]? {
    guard let plain = try? renderings.render(first: place, prompt: false),
      let prompted = try? renderings.render(first: place, prompt: true), prompted.begins(with: plain)
    else { return nil }
    return Array(prompted[plain.count...])
  }

  /// Where the text of a turn ends: after its marker, without the white space that follows; with it, where there is no marker.
  private static func end(of turn: [UInt8], after content: [UInt8]) -> Int {
    let end = TemplateSpace.trimmedEnd(of: turn, from: 0, to: turn.count)
    let contentEnd = TemplateSpace.trimmedEnd(of: content, from: 0, to: content.count)
    let hasMarker = contentEnd == 0 || !turn[..<end].reversed().starts(with: content[..<contentEnd].reversed())
    return hasMarker && end > 0 ? end : turn.count
  }

  // MARK: the turn between two prefixes

  private func stableTurn(_ place: Int, after before: [UInt8]) throws -> Range<Int>? {
    let content = Array((messages[place].content ?? "").utf8)
    let endings = try endings(place)
    let insides = endings.insides
    guard let through = (insides.isEmpty ? [] : insides + [endings.ended]).first(where: whole.begins(with:)),
      through.begins(with: before),
      shows(content, in: through[before.count...])
    else { return nil }
    return before.count..<before.count + Self.end(of: Array(through[before.count...]), after: content)
  }

  /// True where the last word of a turn's text stands in what is taken for the turn: a template may reshape what comes before.
  private func shows(_ content: [UInt8], in turn: ArraySlice<UInt8>) -> Bool {
    guard let word = TextTrim.lastWord(of: String(decoding: content, as: UTF8.self)) else { return true }
    return !TextSearch.offsets(of: word, in: String(decoding: turn, as: UTF8.self), limit: 1, fromEnd: true).isEmpty
  }

  // MARK: the turn around a sentinel

  /// What of a message a sentinel can stand for.
  private enum Mark {
    case content
    case toolName
    case toolArgument
  }

  private func marks(in message: Message) -> [Mark] {
    let hasText = message.content?.isEmpty == false
    return (hasText || message.toolCalls.isEmpty ? [.content] : [])
      + (message.toolCalls.isEmpty ? [] : [.toolName, .toolArgument])
  }

  private func replacedTurn(_ place: Int, by mark: Mark, after before: [UInt8]?) throws -> Range<Int> {
    let sentinel = try sentinel()
    let replaced = try replacing(mark, at: place, by: sentinel)
    let (lead, rest) = try Self.around(sentinel, try renderings.render(replaced[...], prompt: false))
    guard whole.starts(with: lead), whole.reversed().starts(with: rest.reversed()), lead.count + rest.count <= whole.count else {
      throw Failure(reason: "the template treats it differently according to its text or the messages that follow")
    }
    let endings = Endings(
      ended: try renderings.render(replaced[...place], prompt: false),
      continued: try? renderings.render(replaced[...place], prompt: true), prompt: prompt(before: place))
    let short = try Self.around(sentinel, endings.ended)
    let start = lead.count - opening(place, before, short.lead, in: lead)
    let tail = try tail(endings, sentinel, short.rest, in: rest)
    let end = TemplateSpace.trimmedEnd(of: tail, from: 0, to: tail.count)
    return start..<whole.count - rest.count + (end > 0 ? end : tail.count)
  }

  /// How much of what precedes the sentinel the assistant says itself: the rest after the generation prompt, where it is the same
  /// in the whole as in the rendering that ends with the turn.
  private func opening(_ place: Int, _ before: [UInt8]?, _ short: [UInt8], in lead: [UInt8]) -> Int {
    guard let before, short.starts(with: before) else { return 0 }
    let own = short[before.count...]
    return lead.reversed().starts(with: own.reversed()) ? own.count : 0
  }

  /// What follows the sentinel and still belongs to the turn.
  private func tail(_ endings: Endings, _ sentinel: [UInt8], _ ended: [UInt8], in rest: [UInt8]) throws -> [UInt8] {
    for inside in endings.insides {
      let tail = try Self.around(sentinel, inside).rest
      if rest.starts(with: tail) { return tail }
    }
    if endings.insides.isEmpty, let continued = endings.continued {
      let shared = Self.markers(ended, try Self.around(sentinel, continued).rest)
      if !shared.isEmpty, rest.starts(with: shared) { return shared }
    }
    guard rest == ended else { throw Failure(reason: "the template ends it differently when other messages follow") }
    return ended
  }

  /// What two texts share at their start, less the first half of a marker that they begin alike.
  private static func markers(_ one: [UInt8], _ other: [UInt8]) -> [UInt8] {
    var count = zip(one, other).prefix { $0 == $1 }.count
    let ends: Set<UInt8> = [0x20, 0x0A, 0x0D, 0x09, UInt8(ascii: ">"), UInt8(ascii: "]")]
    while count > 0, !ends.contains(one[count - 1]) { count -= 1 }
    return Array(one[..<count])
  }

  /// A text that is no part of the rendering.
  private func sentinel() throws -> [UInt8] {
    let text = String(decoding: whole, as: UTF8.self)
    for number in 0..<100 where !TextSearch.contains("Sentinel\(number)Attune", in: text) {
      return Array("Sentinel\(number)Attune".utf8)
    }
    throw Failure(reason: "no text could be made up that does not occur in the conversation")
  }

  /// The conversation with a text of one message replaced.
  private func replacing(_ mark: Mark, at place: Int, by sentinel: [UInt8]) throws -> [Message] {
    var messages = messages
    let text = String(decoding: sentinel, as: UTF8.self)
    switch mark {
    case .content: messages[place].content = text
    case .toolName, .toolArgument:
      guard case .object(var call) = messages[place].toolCalls[0] else { throw Failure(reason: "its tool call is not an object") }
      if case .object(var function) = call["function"] {
        try Self.replace(mark, in: &function, by: text)
        call["function"] = .object(function)
      } else {
        try Self.replace(mark, in: &call, by: text)
      }
      messages[place].toolCalls[0] = .object(call)
    }
    return messages
  }

  /// Puts `text` for the name of a function, or for the first of its arguments that is a string.
  private static func replace(_ mark: Mark, in function: inout OrderedDictionary<String, JSON>, by text: String) throws {
    guard mark == .toolArgument else {
      function["name"] = .string(text)
      return
    }
    guard case .object(var arguments) = function["arguments"],
      let name = arguments.first(where: { $0.value.string != nil })?.key
    else { throw Failure(reason: "its tool call has no argument that could be recognised") }
    arguments[name] = .string(text)
    function["arguments"] = .object(arguments)
  }

  /// What stands before and after the sentinel.
  private static func around(_ sentinel: [UInt8], _ text: [UInt8]) throws -> (lead: [UInt8], rest: [UInt8]) {
    let found = TextSearch.offsets(of: String(decoding: sentinel, as: UTF8.self), in: String(decoding: text, as: UTF8.self))
    guard found.count == 1, let start = found.first else {
      throw Failure(
        reason: found.isEmpty ? "the template leaves its text out" : "the template shows its text \(found.count) times")
    }
    return (Array(text[..<start]), Array(text[(start + sentinel.count)...]))
  }
}

extension [UInt8] {
  /// `starts(with:)` for long arrays, many bytes at a time.
  fileprivate func begins(with other: [UInt8]) -> Bool {
    guard other.count <= count else { return false }
    return withUnsafeBufferPointer { bytes in
      other.withUnsafeBufferPointer { ByteHash.equal(UnsafeBufferPointer(rebasing: bytes.prefix($0.count)), $0) }
    }
  }
}
