/// What a store holds, and how far its raters agree, with each other and with themselves.
public struct PreferenceStatistics: Sendable, Hashable {
  /// A rater's verdicts in numbers.
  public struct OfRater: Sendable, Hashable {
    /// Who.
    public let rater: Rater
    /// Verdicts by what they say.
    public var choices: [Choice: Int] = [:]
    /// Pairs on which it has an opinion: an answer or a tie.
    public var opinions = 0
    /// Of these, ties.
    public var ties = 0
    /// Verdicts for one answer.
    public var decided = 0
    /// Of these, for the answer that was shown first: half of them where the place of an answer does not count.
    public var choseFirst = 0
    /// Pairs judged in both orders.
    public var bothOrders = 0
    /// Of these, with the same verdict in both.
    public var consistent = 0
    /// Of these, for the answer that was shown first in both.
    public var alwaysFirst = 0
    /// Of these, for the answer that was shown second in both.
    public var alwaysSecond = 0
    /// What it could not judge and has not judged since.
    public var failures: [JudgingFailure] = []
  }

  /// Two raters.
  public struct OfTwo: Sendable, Hashable {
    /// The one.
    public let first: String
    /// The other.
    public let second: String
    /// How far they agree, on “a”, “b” and “tie”.
    public let agreement: Agreement
  }

  /// Prompts.
  public let prompts: Int
  /// Pairs of answers.
  public let pairs: Int
  /// Each rater.
  public let raters: [OfRater]
  /// Each two raters that have an opinion on the same pair.
  public let agreements: [OfTwo]
  /// Krippendorff's α over all raters; nil for fewer than two, or where it is 0/0.
  public let alpha: Double?

  /// Counts what is in a store.
  ///
  /// - Throws: ``PreferenceError`` where it cannot be read.
  public init(_ store: PreferenceStore) throws(PreferenceError) {
    prompts = try store.promptCount()
    pairs = try store.pairs().count
    let verdicts = try store.verdicts()
    var opinions: [String: [Int64: Choice]] = [:]
    for opinion in try store.opinions() {
      guard let choice = opinion.choice, choice != .skip else { continue }
      opinions[opinion.rater, default: [:]][opinion.pair] = choice
    }
    var raters: [OfRater] = []
    for rater in try store.raters() {
      var figures = OfRater(rater: rater)
      let own = verdicts.filter { $0.rater.name == rater.name }
      figures.count(own.map { (pair: $0.pair, verdict: $0.verdict) })
      figures.opinions = opinions[rater.name]?.count ?? 0
      figures.ties = opinions[rater.name]?.values.count { $0 == .tie } ?? 0
      figures.failures = try store.failures(of: rater.name)
      raters.append(figures)
    }
    self.raters = raters
    let names = raters.map(\.rater.name).filter { opinions[$0] != nil }
    agreements = Self.agreements(names, opinions)
    let items = Dictionary(grouping: opinions.values.flatMap { $0 }, by: \.key).values.map { $0.map(\.value) }
    alpha = krippendorffAlpha(items)
  }

  private static func agreements(_ names: [String], _ opinions: [String: [Int64: Choice]]) -> [OfTwo] {
    var result: [OfTwo] = []
    for (place, first) in names.enumerated() {
      for second in names[(place + 1)...] {
        let both = (opinions[first] ?? [:]).compactMap { pair, choice in opinions[second]?[pair].map { (choice, $0) } }
        if !both.isEmpty { result.append(OfTwo(first: first, second: second, agreement: Agreement(both))) }
      }
    }
    return result
  }
}

extension PreferenceStatistics.OfRater {
  init(rater: Rater) { self.rater = rater }

  /// Adds verdicts.
  mutating func count(_ verdicts: [(pair: Int64, verdict: Verdict)]) {
    for (_, verdict) in verdicts {
      choices[verdict.choice, default: 0] += 1
      if verdict.isDecided { decided += 1 }
      if verdict.choosesFirst { choseFirst += 1 }
    }
    for (_, own) in Dictionary(grouping: verdicts, by: \.pair) {
      guard let one = own.last(where: { $0.verdict.shown == .ab })?.verdict,
        let other = own.last(where: { $0.verdict.shown == .ba })?.verdict
      else { continue }
      bothOrders += 1
      if one.choice == other.choice { consistent += 1 }
      if one.choosesFirst, other.choosesFirst { alwaysFirst += 1 }
      if one.isDecided, other.isDecided, !one.choosesFirst, !other.choosesFirst { alwaysSecond += 1 }
    }
  }
}
