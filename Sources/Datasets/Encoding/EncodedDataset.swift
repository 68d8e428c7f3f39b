import Text

/// A data set as tokens, ready for a ``DataLoader``.
public struct EncodedDataset: Sendable {
  /// The samples that can be learnt from.
  public var samples: [EncodedSample]
  /// The weight of each source; ``EncodedSample/source`` indexes it.
  public var weights: [Double]
  /// What encoding did.
  public var report: EncodingReport

  /// An encoded data set made in memory.
  public init(samples: [EncodedSample], weights: [Double] = [1], report: EncodingReport = EncodingReport()) {
    self.samples = samples
    self.weights = weights
    self.report = report
  }
}

/// Why a data set would train a model badly, so that training does not start.
public struct EncodingRefusal: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong.
  public enum Reason: String, Sendable, Hashable, Codable {
    /// Samples have no target: all of them, or any where that was forbidden.
    case untrained
    /// No target ends an answer, so the model would not learn to stop.
    case endNeverLearnt
    /// Samples begin with two BOS.
    case doubledBOS
    /// Samples are longer than the limit, and that was called an error.
    case tooLong
  }

  /// What is wrong.
  public let reason: Reason
  /// How many samples it concerns.
  public let count: Int
  /// Of how many.
  public let total: Int
  /// The first of them.
  public let shown: [EncodingReport.Shown]

  init(_ reason: Reason, _ group: EncodingReport.Group, of total: Int) {
    self.reason = reason
    count = group.count
    self.total = total
    shown = group.shown
  }

  /// What is said to people.
  public var description: String {
    let (problem, cure) = words
    return (["\(problem): \(count) of \(total) samples. \(cure)."] + shown.map { "  \($0)" }).joined(separator: "\n")
  }

  private var words: (String, String) {
    switch reason {
    case .untrained:
      ("no token would be learnt", "Check roles, mask and max_length; `data preview` shows which tokens are learnt")
    case .endNeverLearnt:
      (
        "no token that ends an answer would be learnt, so the model would not stop",
        "Check that the template closes the assistant's turn, that the tokenizer has an EOS, and that max_length leaves room for it"
      )
    case .doubledBOS:
      (
        "the begin-of-text token stands twice at the start",
        "Remove it from the data, since the template or the tokenizer puts it there"
      )
    case .tooLong: ("samples are longer than max_length", "Raise max_length, or choose drop, keep-start, keep-end or split")
    }
  }
}

extension Dataset {
  /// Encodes every sample, on every core, and refuses what would train a model badly.
  ///
  /// Samples without a target are left out and reported.
  ///
  /// - Parameters:
  ///   - encoder: makes tokens and targets of a sample.
  ///   - strict: refuse samples without a target, too.
  /// - Throws: ``BadRows`` where samples cannot be rendered or tokenized; ``EncodingRefusal`` where training must not start.
  public func encoded(with encoder: SampleEncoder, strict: Bool = false) throws -> EncodedDataset {
    guard !samples.isEmpty else {
      if !badRows.isEmpty { throw badRows }
      throw DatasetError("there are no samples to encode", cure: "Give at least one")
    }
    let results = Array(samples.enumerated()).concurrentMap { index, sample in
      Result { () throws(RowProblem) in try encoder.fit(sample, index: index) }
    }
    var problems = BadRows()
    var audit = EncodingAudit(settings: encoder.settings)
    var encoded: [EncodedSample] = []
    for (sample, result) in zip(samples, results) {
      switch result {
      case .failure(let problem): problems.append(problem)
      case .success(let fitted):
        audit.add(fitted, of: sample)
        encoded += fitted.pieces
      }
    }
    guard problems.isEmpty else { throw problems }
    try audit.check(strict: strict)
    return EncodedDataset(samples: encoded, weights: sources.map(\.weight), report: audit.report)
  }
}

/// Gathers what is found in the samples and decides whether training may start.
private struct EncodingAudit {
  private(set) var report = EncodingReport()
  private let settings: EncodingSettings
  private var doubledBOS = EncodingReport.Group()
  private var answers = EncodingReport.Group()
  private var learnsEnd = false

  init(settings: EncodingSettings) {
    self.settings = settings
  }

  mutating func add(_ fitted: FittedSample, of sample: Sample) {
    report.add(fitted, of: sample)
    if fitted.hasDoubledBOS { doubledBOS.add(sample) }
    if !fitted.pieces.isEmpty, hasToEnd(sample) { answers.add(sample) }
    learnsEnd = learnsEnd || fitted.learnsEnd
  }

  /// True where the sample holds an answer, after which the model is to stop.
  private func hasToEnd(_ sample: Sample) -> Bool {
    switch sample.content {
    case .text, .prompt: false
    case .completion: settings.appendsEndOfText
    case .conversation, .continuation, .ranking: true
    }
  }

  func check(strict: Bool) throws(EncodingRefusal) {
    let total = report.samples
    var untrained = report.untrained
    untrained.count += report.untrainedOnceCut.count
    untrained.shown += report.untrainedOnceCut.shown
    if doubledBOS.count > 0 { throw EncodingRefusal(.doubledBOS, doubledBOS, of: total) }
    if settings.truncation == .error, report.long.count > 0 { throw EncodingRefusal(.tooLong, report.long, of: total) }
    if untrained.count > 0, strict || report.encoded == 0 { throw EncodingRefusal(.untrained, untrained, of: total) }
    if report.encoded == 0 { throw EncodingRefusal(.tooLong, report.long, of: total) }
    if answers.count > 0, !learnsEnd { throw EncodingRefusal(.endNeverLearnt, answers, of: total) }
  }
}
