import OrderedCollections
import Text

/// What a store says, as rows that tuning reads.
public struct PreferenceExport: Sendable {
  /// The rows, as JSON: `prompt`, `chosen`, `rejected`, maybe `tools`, and `votes`.
  public let rows: [JSON]
  /// Pairs on which opinions are even, or that all call a tie.
  public let ties: Int
  /// Pairs on which too few raters have an opinion.
  public let undecided: Int

  /// The preferences of the majority.
  ///
  /// - Parameters:
  ///   - store: the store.
  ///   - names: the raters to listen to; nil for all.
  ///   - minimum: how many of them must have an opinion on a pair, ties included, from 1.
  /// - Throws: ``PreferenceError`` for a name that the store does not know, or where it cannot be read.
  public init(_ store: PreferenceStore, raters names: [String]? = nil, minimum: Int = 1) throws(PreferenceError) {
    let votes = try Self.votes(store, names)
    var rows: [JSON] = []
    var (ties, undecided) = (0, 0)
    for id in try store.pairs() {
      let own = votes[id] ?? []
      let (a, b) = (own.count { $0 == .a }, own.count { $0 == .b })
      if own.count < max(1, minimum) {
        undecided += 1
      } else if a == b {
        ties += 1
      } else {
        let votes = ["chosen": JSON.int(max(a, b)), "rejected": .int(min(a, b)), "tie": .int(own.count - a - b)]
        rows.append(try store.pair(id).preference(choosing: a > b ? .ab : .ba, votes: votes))
      }
    }
    (self.rows, self.ties, self.undecided) = (rows, ties, undecided)
  }

  /// What each pair is thought of, skips left out.
  private static func votes(_ store: PreferenceStore, _ names: [String]?) throws(PreferenceError) -> [Int64: [Choice]] {
    let known = try store.raters().map(\.name)
    for name in names ?? [] where !known.contains(name) {
      throw PreferenceError(
        "the store has no rater “\(name)”; there is \(known.isEmpty ? "none" : known.joined(separator: ", "))")
    }
    var votes: [Int64: [Choice]] = [:]
    for opinion in try store.opinions() where names?.contains(opinion.rater) ?? true {
      guard let choice = opinion.choice, choice != .skip else { continue }
      votes[opinion.pair, default: []].append(choice)
    }
    return votes
  }

  /// Every pair with every verdict on it, as rows that another store takes.
  ///
  /// - Throws: ``PreferenceError`` where the store cannot be read.
  public static func everything(of store: PreferenceStore) throws(PreferenceError) -> [JSON] {
    let verdicts = Dictionary(grouping: try store.verdicts(), by: \.pair)
    var rows: [JSON] = []
    for id in try store.pairs() {
      let pair = try store.pair(id)
      var members = pair.question
      members["answers"] = .array([pair.a.json, pair.b.json])
      members["verdicts"] = .array((verdicts[id] ?? []).map { AnswerRow.json($0.rater, $0.verdict) })
      rows.append(.object(members))
    }
    return rows
  }
}

extension AnswerPair {
  fileprivate var question: OrderedDictionary<String, JSON> {
    var members: OrderedDictionary<String, JSON> = ["prompt": prompt.json]
    if let tools = tools.flatMap({ try? JSON(parsing: $0) }) { members["tools"] = tools }
    return members
  }

  /// A row of preference data, where the first answer of `order` is the better one.
  fileprivate func preference(choosing order: AnswerOrder, votes: [String: JSON]) -> JSON {
    var members = question
    (members["chosen"], members["rejected"]) = (shown(order).first.json, shown(order).second.json)
    members["votes"] = .object(
      OrderedDictionary(uniqueKeys: ["chosen", "rejected", "tie"], values: ["chosen", "rejected", "tie"].map { votes[$0] ?? 0 }))
    return .object(members)
  }
}
