import Preferences

/// A judge's way through the pairs of a store, each in both orders.
///
/// What was judged is in the store at once; a run that was stopped, or failed, goes on with what is missing. What could not be
/// judged is written down, counted, and tried again by the next run.
public struct JudgeRun {
  /// The store.
  public let store: PreferenceStore
  /// As whom the judge judges.
  public let rater: Rater
  /// What judges.
  public let judge: any Judge
  /// Failures one after the other that end a run, from 1.
  public var failureLimit = 10
  /// Pairs that are read from the store together, from 1.
  public var pairsAtOnce = 64

  /// A run. The rater has to be of the kind `judge`.
  public init(_ store: PreferenceStore, as rater: Rater, judge: any Judge) {
    (self.store, self.rater, self.judge) = (store, rater, judge)
  }

  /// What a run came to.
  public struct Report: Sendable, Hashable {
    /// Verdicts given.
    public var judged = 0
    /// Questions that came to nothing.
    public var failed = 0
    /// Questions there were.
    public var total = 0
    /// Why it ended before its time; nil where it did not.
    public var ending: Ending?
  }

  /// Why a run ended before its time.
  public enum Ending: Sendable, Hashable {
    /// It was asked to.
    case stopped
    /// The judge cannot be used at all.
    case refused(String)
    /// So many questions in a row came to nothing; the last for this reason.
    case failing(Int, String)
  }

  /// Judges what is missing.
  ///
  /// - Parameters:
  ///   - shouldStop: asked between questions.
  ///   - observe: told how far it has come after each question.
  /// - Throws: `PreferenceError` where the store cannot be read or written. A judge that fails makes no error, but a report that
  ///   says so.
  public func run(shouldStop: () -> Bool = { false }, observe: (Report) -> Void = { _ in }) throws -> Report {
    try store.register(rater)
    var work: [(pair: Int64, shown: AnswerOrder)] = []
    for shown in AnswerOrder.allCases { work += try store.pairs(awaiting: rater.name, shown: shown).map { ($0, shown) } }
    // Both orders of a pair one after the other, so that a run that is stopped has whole opinions.
    work.sort { ($0.pair, $0.shown == .ab ? 0 : 1) < ($1.pair, $1.shown == .ab ? 0 : 1) }
    var progress = Progress(limit: failureLimit, total: work.count)
    for start in stride(from: 0, to: work.count, by: max(1, 2 * pairsAtOnce)) {
      let part = Array(work[start..<min(start + max(1, 2 * pairsAtOnce), work.count)])
      let questions = try part.map { Question(try store.pair($0.pair), shown: $0.shown) }
      try judge.judge(questions, shouldStop: { shouldStop() || progress.ending != nil }) { place, result in
        try keep(result, of: part[place].pair, part[place].shown)
        progress.count(result)
        observe(progress.report)
      }
      if let ending = progress.ending ?? (shouldStop() ? .stopped : nil) {
        progress.report.ending = ending
        break
      }
    }
    return progress.report
  }

  private func keep(_ result: Result<Judgement, JudgeFailure>, of pair: Int64, _ shown: AnswerOrder) throws(PreferenceError) {
    switch result {
    case .success(let judgement):
      let isInOrder = shown == .ab
      let verdict = Verdict(
        isInOrder ? judgement.choice : judgement.choice.exchanged, shown: shown,
        probability: judgement.probability.map { isInOrder ? $0 : 1 - $0 }, reason: judgement.reason)
      try store.record(verdict, on: pair, by: rater.name)
    case .failure(let failure):
      try store.record(failure: failure.description, on: pair, shown: shown, by: rater.name)
    }
  }
}

/// How far a run has come, and whether it is to end.
private struct Progress {
  let limit: Int
  var report = JudgeRun.Report()
  private(set) var ending: JudgeRun.Ending?
  private var failuresInARow = 0

  init(limit: Int, total: Int) {
    self.limit = limit
    report.total = total
  }

  mutating func count(_ result: Result<Judgement, JudgeFailure>) {
    switch result {
    case .success:
      report.judged += 1
      failuresInARow = 0
    case .failure(let failure):
      report.failed += 1
      failuresInARow += 1
      if failure.isFatal {
        ending = .refused(failure.description)
      } else if failuresInARow >= max(1, limit) {
        ending = ending ?? .failing(failuresInARow, failure.description)
      }
    }
  }
}
