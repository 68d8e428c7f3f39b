extension PreferenceStore {
  /// What reading a file into a store came to.
  public struct Imported: Sendable, Hashable {
    /// Pairs that it did not have.
    public var newPairs = 0
    /// Pairs that it had.
    public var knownPairs = 0
    /// Rows whose answers are all the same, which are no pair.
    public var equalAnswers = 0
    /// Verdicts taken over.
    public var verdicts = 0
    /// Verdicts that the rater had given in the store already, which stay as they are.
    public var knownVerdicts = 0
  }

  /// Takes rows into the store.
  ///
  /// - Parameters:
  ///   - rows: prompts with answers, and what raters said of them.
  ///   - withVerdicts: also what the rows say of their answers; else the pairs alone.
  /// - Throws: ``PreferenceError`` that names the row where a rater is another one than that of its name here.
  public func take(_ rows: [AnswerRow], withVerdicts: Bool) throws(PreferenceError) -> Imported {
    var result = Imported()
    var given: Set<String> = []
    if withVerdicts {
      for (rater, pair, verdict) in try verdicts() { given.insert("\(pair) \(verdict.shown) \(rater.name)") }
    }
    for row in rows {
      let pairs = try add(row.prompt, tools: row.tools, answers: row.answers, source: row.source)
      result.newPairs += pairs.count(where: \.isNew)
      result.knownPairs += pairs.count { !$0.isNew }
      if pairs.isEmpty { result.equalAnswers += 1 }
      guard withVerdicts, let pair = pairs.first(where: { Set([$0.a, $0.b]) == [0, 1] }) else { continue }
      for (rater, verdict) in row.verdicts {
        do throws(PreferenceError) { try register(rater) } catch { throw PreferenceError("\(row.source): \(error)") }
        let own = pair.a == 0 ? verdict : verdict.exchanged
        guard given.insert("\(pair.id) \(own.shown) \(rater.name)").inserted else {
          result.knownVerdicts += 1
          continue
        }
        try record(own, on: pair.id, by: rater.name)
        result.verdicts += 1
      }
    }
    return result
  }
}

extension Verdict {
  /// The same verdict where the two answers have each other's names.
  var exchanged: Verdict {
    Verdict(
      choice.exchanged, shown: shown == .ab ? .ba : .ab, probability: probability.map { 1 - $0 }, reason: reason, date: date)
  }
}
