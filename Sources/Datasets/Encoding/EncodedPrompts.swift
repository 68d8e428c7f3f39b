import OrderedCollections
import Text

/// A prompt as a model gets it, and what is known of it.
public struct EncodedPrompt: Sendable, Hashable {
  /// The token ids.
  public var ids: [Int32]
  /// The prompt as text.
  public var text: String
  /// The same as a conversation; empty where it is none.
  public var messages: [Message]
  /// Every column of its row.
  public var columns: OrderedDictionary<String, JSON>
  /// Where it was read.
  public var location: SourceLocation

  /// A prompt made in memory.
  public init(
    ids: [Int32], text: String, messages: [Message] = [], columns: OrderedDictionary<String, JSON> = [:],
    location: SourceLocation = SourceLocation(file: "", line: 0)
  ) {
    (self.ids, self.text, self.messages, self.columns, self.location) = (ids, text, messages, columns, location)
  }
}

/// The prompts of a data set, ready for a ``DataLoader``.
public struct EncodedPrompts: Sendable {
  /// The prompts.
  public var prompts: [EncodedPrompt]
  /// The same as samples that nothing is learnt from; ``EncodedSample/index`` indexes ``prompts``.
  public var dataset: EncodedDataset

  /// Prompts made in memory.
  public init(_ prompts: [EncodedPrompt]) {
    self.prompts = prompts
    dataset = EncodedDataset(
      samples: prompts.enumerated().map { index, prompt in
        EncodedSample(
          ids: prompt.ids, trained: prompt.ids.map { _ in false }, location: prompt.location, index: index)
      })
  }
}

extension Sample {
  /// What is to be answered: of a sample with an answer, what comes before it. Nil for running text.
  public var prompt: Prompt? { content.prompt }
}

extension Sample.Content {
  fileprivate var prompt: Sample.Prompt? {
    switch self {
    case .prompt(let prompt): prompt
    case .conversation(let messages):
      .messages(Array(messages.prefix((messages.lastIndex { $0.role != "assistant" } ?? -1) + 1)))
    case .continuation(let prompt, _): .messages(prompt)
    case .completion(let prompt, _): .text(prompt)
    case .ranking(let answers): answers.first?.prompt
    case .text: nil
    }
  }
}

extension Dataset {
  /// The prompts of every sample, encoded on every core: rendered up to where the answer begins.
  ///
  /// Prompts of more tokens than `maxLength` are left out and reported; none is cut, for half a question is another one.
  ///
  /// - Throws: ``BadRows`` where prompts cannot be rendered; ``EncodingRefusal`` where none is left.
  public func encodedPrompts(with encoder: SampleEncoder) throws -> EncodedPrompts {
    let results = samples.concurrentMap { sample in
      Result { () throws(RowProblem) in try encoder.prompt(of: sample) }
    }
    var problems = BadRows()
    var encoded = EncodedPrompts([])
    var report = EncodingReport()
    for (sample, result) in zip(samples, results) {
      switch result {
      case .failure(let problem): problems.append(problem)
      case .success(let prompt):
        let isLong = prompt.ids.count > encoder.settings.maxLength ?? .max
        let samples = [
          EncodedSample(
            ids: prompt.ids, trained: prompt.ids.map { _ in false }, location: sample.location, index: encoded.prompts.count,
            source: sample.source)
        ]
        report.add(
          FittedSample(
            pieces: isLong ? [] : samples, fate: isLong ? .tooLong : .kept, tokenCount: prompt.ids.count, targetCount: 0,
            lostTokens: isLong ? prompt.ids.count : 0, isLong: isLong, isSplitAtBorder: false, hasDoubledBOS: false,
            learnsEnd: false), of: sample)
        guard !isLong else { continue }
        encoded.prompts.append(prompt)
        encoded.dataset.samples += samples
      }
    }
    guard problems.isEmpty else { throw problems }
    guard !encoded.prompts.isEmpty else { throw EncodingRefusal(.tooLong, report.long, of: samples.count) }
    encoded.dataset.weights = sources.map(\.weight)
    encoded.dataset.report = report
    return encoded
  }
}

extension SampleEncoder {
  /// The prompt of a sample as tokens: a conversation with what the template puts before an answer, a text with what the tokenizer
  /// puts before texts.
  ///
  /// - Throws: ``RowProblem`` where it has none, or the template cannot deal with it.
  func prompt(of sample: Sample) throws(RowProblem) -> EncodedPrompt {
    switch sample.prompt {
    case .text(let text):
      let ids = prefix + tokenizer.encode(text, addSpecialTokens: false)
      return EncodedPrompt(ids: ids, text: text, columns: sample.columns, location: sample.location)
    case .messages(let messages) where !messages.isEmpty:
      let text = try rendered(messages, of: sample)
      return EncodedPrompt(
        ids: tokenizer.encode(text, addSpecialTokens: false), text: text, messages: messages, columns: sample.columns,
        location: sample.location)
    case .messages, nil:
      throw RowProblem(
        sample.location, "holds no prompt: nothing stands before an answer", cure: "Write a “prompt”, as text or as messages")
    }
  }
}
