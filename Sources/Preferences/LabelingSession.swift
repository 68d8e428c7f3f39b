import Datasets

/// A person's way through the pairs of a store: one after the other, back, and on where it stopped.
public struct LabelingSession {
  /// The store.
  public let store: PreferenceStore
  /// Who labels.
  public let rater: String
  /// What decides which answer of a pair is shown first.
  public let seed: UInt64
  /// All pairs of the store.
  public let total: Int
  /// Pairs yet to be shown, in order.
  private var waiting: [Int64]
  /// The pairs of this sitting that have a verdict, in order.
  private var done: [Int64] = []

  /// Begins, or goes on, with what `rater` has not seen.
  ///
  /// - Parameters:
  ///   - store: where pairs and verdicts are.
  ///   - rater: who labels.
  ///   - seed: what decides which answer of a pair is shown first. The same pair and seed give the same order in every sitting.
  ///   - showingSkipped: also show what the rater skipped.
  /// - Throws: ``PreferenceError`` where the name is no person's.
  public init(
    _ store: PreferenceStore, rater: String, seed: UInt64 = 0, showingSkipped: Bool = false
  ) throws(PreferenceError) {
    try store.register(Rater(rater, kind: .person))
    (self.store, self.rater, self.seed) = (store, rater, seed)
    total = try store.pairs().count
    waiting = try store.pairs(awaiting: rater, countingSkips: !showingSkipped)
  }

  /// How many pairs are left.
  public var remaining: Int { waiting.count }
  /// How many verdicts this sitting has given.
  public var given: Int { done.count }

  /// The pair to decide now, with the order in which to show it; nil where all are done.
  public func current() throws(PreferenceError) -> (pair: AnswerPair, shown: AnswerOrder)? {
    guard let id = waiting.first else { return nil }
    return (try store.pair(id), order(of: id))
  }

  /// Which answer of a pair comes first: either half of the time.
  func order(of pair: Int64) -> AnswerOrder {
    var generator = SplitMix64(seed: seed &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(bitPattern: pair))
    return generator.next() & 1 == 0 ? .ab : .ba
  }

  /// Says that the answer shown first, or second, is better; that they tie; or that the rater does not want to say.
  ///
  /// - Parameters:
  ///   - choice: `a` for the answer shown first, `b` for the second.
  ///   - reason: why, in the rater's words.
  public mutating func decide(_ choice: Choice, reason: String? = nil) throws(PreferenceError) {
    guard let id = waiting.first else { return }
    let shown = order(of: id)
    let verdict = Verdict(shown == .ab ? choice : choice.exchanged, shown: shown, reason: reason)
    try store.record(verdict, on: id, by: rater, everyOrder: true)
    waiting.removeFirst()
    done.append(id)
  }

  /// Takes back the newest verdict, also one of an earlier sitting, and shows its pair again.
  ///
  /// - Returns: false where there is none.
  public mutating func undo() throws(PreferenceError) -> Bool {
    guard let last = try store.retract(lastOf: rater) else { return false }
    if done.last == last.pair { done.removeLast() }
    waiting.removeAll { $0 == last.pair }
    waiting.insert(last.pair, at: 0)
    return true
  }
}
