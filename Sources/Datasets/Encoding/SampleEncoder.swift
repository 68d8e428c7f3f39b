import OrderedCollections
import Text

/// Turns samples into tokens and says which of them are learnt.
///
/// Conversations go through the model's own chat template and are tokenized as one text, to which no special tokens are added again.
/// Texts and completions get the special tokens that the tokenizer puts before a text, and EOS at the end.
public struct SampleEncoder: Sendable {
  /// Renders a conversation and finds the assistant's turns in it, in order, as ranges of UTF-8 offsets.
  public typealias SpanFinder =
    @Sendable (
      _ messages: [Message], _ tools: [JSON]?, _ renderer: any ChatRenderer
    ) throws -> (text: String, spans: [Range<Int>])

  /// How samples are encoded.
  public let settings: EncodingSettings
  /// The model's tokenizer.
  public let tokenizer: any Tokenizer
  let endOfText: Int32?
  let beginOfText: Int32?
  private let renderer: (any ChatRenderer)?
  private let spans: SpanFinder
  let prefix: [Int32]

  /// An encoder.
  ///
  /// - Parameters:
  ///   - tokenizer: the model's own.
  ///   - renderer: the model's chat template; nil where it has none, so that conversations are refused.
  ///   - settings: what is trained, and how long a sample may be.
  ///   - spans: finds the assistant's turns in a rendered conversation; by default from what the template renders.
  /// - Throws: ``DatasetError`` where the settings make no sense.
  public init(
    tokenizer: any Tokenizer, renderer: (any ChatRenderer)?, settings: EncodingSettings = EncodingSettings(),
    spans: @escaping SpanFinder = { try assistantSpans(of: $0, tools: $1, using: $2) }
  ) throws {
    if let length = settings.maxLength, length < 2 {
      throw DatasetError("max_length is \(length)", cure: "Give it at least 2: the first token is never a target")
    }
    self.tokenizer = tokenizer
    self.renderer = renderer
    self.settings = settings
    self.spans = spans
    endOfText = tokenizer.special.eos.flatMap { tokenizer.id(of: $0) }
    beginOfText = tokenizer.special.bos.flatMap { tokenizer.id(of: $0) }
    let plain = tokenizer.encode("a", addSpecialTokens: false)
    let whole = tokenizer.encode("a", addSpecialTokens: true)
    prefix = Array(whole.prefix(whole.indices.first { whole[$0...].starts(with: plain) } ?? 0))
  }

  /// All tokens of a sample, of several answers with the best one; nothing is cut.
  ///
  /// - Throws: ``RowProblem`` where the template, the tokenizer or the mask policy cannot deal with the sample.
  public func ids(of sample: Sample) throws(RowProblem) -> [Int32] { try tokens(of: sample).ids }

  /// The tokens of a sample with their mask, before anything is cut.
  ///
  /// - Throws: ``RowProblem`` where the template, the tokenizer or the mask policy cannot deal with the sample.
  func tokens(of sample: Sample) throws(RowProblem) -> MaskedTokens {
    switch sample.content {
    case .text(let text):
      guard settings.mask ?? .all == .all else {
        let problem = "is running text, in which the mask “\(settings.mask?.rawValue ?? "")” finds nothing to learn"
        throw RowProblem(sample.location, field: "text", problem, cure: "Leave the mask out, or choose “all”")
      }
      return closed(MaskedTokens(ids: tokenizer.encode(text, addSpecialTokens: false), trained: true))
    case .completion(let prompt, let completion):
      return closed(tokens(prompt: prompt, completion: completion))
    case .conversation(let messages):
      return try tokens(of: messages, learntFrom: 0, sample: sample)
    case .continuation(let prompt, let completion):
      return try tokens(of: prompt + completion, learntFrom: prompt.count, sample: sample)
    case .ranking(let answers):
      var best = sample
      best.content = answers.first ?? .text("")
      return try tokens(of: best)
    case .prompt: return MaskedTokens(ids: try prompt(of: sample).ids, trained: false)
    }
  }

  /// A conversation up to where its answer begins.
  ///
  /// - Throws: ``RowProblem`` where there is no template or it cannot deal with the conversation.
  func rendered(_ messages: [Message], of sample: Sample) throws(RowProblem) -> String {
    guard let renderer else { throw SampleEncoder.needsTemplate(sample) }
    do { return try renderer.render(messages, tools: sample.tools, addGenerationPrompt: true) } catch {
      throw SampleEncoder.cannotRender(sample, error)
    }
  }

  private static func needsTemplate(_ sample: Sample) -> RowProblem {
    RowProblem(
      sample.location, "is a conversation, but the model has no chat template",
      cure: "Name a template for the model, use an instruct model, or write prompt and completion as text")
  }

  private static func cannotRender(_ sample: Sample, _ error: any Error) -> RowProblem {
    RowProblem(sample.location, "cannot be rendered: \(error)", cure: "Change the conversation so that the template takes it")
  }

  /// With what the tokenizer puts before a text, and EOS.
  private func closed(_ tokens: MaskedTokens) -> MaskedTokens {
    var tokens = tokens
    tokens.prepend(prefix)
    if settings.appendsEndOfText, let endOfText, tokens.ids.last != endOfText { tokens.append(endOfText, trained: true) }
    return tokens
  }

  /// The prompt's tokens have to be the first of both together, as they will be at generation; otherwise both are encoded apart.
  private func tokens(prompt: String, completion: String) -> MaskedTokens {
    let head = tokenizer.encode(prompt, addSpecialTokens: false)
    var ids = tokenizer.encode(prompt + completion, addSpecialTokens: false)
    let isPrefix = ids.starts(with: head)
    if !isPrefix { ids = head + tokenizer.encode(completion, addSpecialTokens: false) }
    var tokens = MaskedTokens(ids: ids, trained: true)
    tokens.isSplitAtBorder = !isPrefix
    if settings.mask != .all {
      for index in head.indices { tokens.trained[index] = false }
    }
    return tokens
  }

  private func tokens(of messages: [Message], learntFrom first: Int, sample: Sample) throws(RowProblem) -> MaskedTokens {
    guard let renderer else { throw SampleEncoder.needsTemplate(sample) }
    do {
      guard settings.mask != .all else {
        let text = try renderer.render(messages, tools: sample.tools, addGenerationPrompt: false)
        return MaskedTokens(ids: tokenizer.encode(text, addSpecialTokens: false), trained: true)
      }
      let (text, spans) = try spans(messages, sample.tools, renderer)
      let turns = LearntTurns(messages: messages, from: first, onlyLast: settings.mask == .completion && first == 0)
      guard let learnt = turns.select(spans) else {
        throw RowProblem(
          sample.location, "has \(turns.count) turns of the assistant, of which the template shows \(spans.count)",
          cure: "Learn all of them (no weights of 0, mask “assistant”), or change the conversation")
      }
      return try MaskedTokens(text: text, spans: learnt, tokenizer: tokenizer)
    } catch let problem as RowProblem {
      throw problem
    } catch {
      throw SampleEncoder.cannotRender(sample, error)
    }
  }
}

/// Which of the assistant's turns are learnt.
private struct LearntTurns {
  private let isLearnt: [Bool]

  /// - Parameters:
  ///   - from: the index of the first message that may be learnt.
  ///   - onlyLast: of those, the last turn of the assistant alone.
  init(messages: [Message], from: Int, onlyLast: Bool) {
    let turns = messages.indices.filter { messages[$0].role == "assistant" }
    isLearnt = turns.map { index in
      index >= from && (!onlyLast || index == turns.last) && messages[index].extra["weight"]?.double != 0
    }
  }

  var count: Int { isLearnt.count }

  /// The spans of the turns that are learnt; nil where it cannot be told which span is which turn's.
  func select(_ spans: [Range<Int>]) -> [Range<Int>]? {
    if isLearnt.allSatisfy({ $0 }) { return spans }
    guard spans.count == count else { return nil }
    return zip(spans, isLearnt).filter(\.1).map(\.0)
  }
}
