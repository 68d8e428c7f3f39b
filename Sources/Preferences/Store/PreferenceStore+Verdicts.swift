import Foundation
import GRDB

extension PreferenceStore {
  /// Makes a rater known, or finds the one of that name.
  ///
  /// - Throws: ``PreferenceError`` where the name is another rater's: one of another kind, model or rubric.
  public func register(_ rater: Rater) throws(PreferenceError) {
    guard !rater.name.isEmpty, rater.name.allSatisfy({ !$0.isNewline }) else {
      throw PreferenceError("a rater's name must be a line of text, not “\(rater.name)”")
    }
    try write { database in
      guard let known = try Self.rater(rater.name, database) else {
        let (combination, margin) = rater.combination.stored
        try database.execute(
          sql: "INSERT INTO raters (name, kind, model, rubric, combination, margin) VALUES (?, ?, ?, ?, ?, ?)",
          arguments: [rater.name, rater.kind.rawValue, rater.model, rater.rubric, combination, margin])
        return
      }
      guard known == rater else {
        throw PreferenceError(
          "the store has a rater “\(rater.name)” already, \(known.difference(from: rater)): give this one a name of its own (--rater)"
        )
      }
    }
  }

  /// All raters, in the order in which they came.
  public func raters() throws(PreferenceError) -> [Rater] {
    try read { try Row.fetchAll($0, sql: "SELECT * FROM raters ORDER BY id").map(Rater.init(row:)) }
  }

  private static func rater(_ name: String, _ database: Database) throws -> Rater? {
    try Row.fetchOne(database, sql: "SELECT * FROM raters WHERE name = ?", arguments: [name]).map(Rater.init(row:))
  }

  /// Writes down what a rater says of a pair, in place of what it said before.
  ///
  /// - Parameters:
  ///   - verdict: what it says.
  ///   - pair: the pair's number.
  ///   - rater: who says it.
  ///   - everyOrder: also in place of what it said when the answers stood the other way round.
  public func record(
    _ verdict: Verdict, on pair: Int64, by rater: String, everyOrder: Bool = false
  ) throws(PreferenceError) {
    try write { database in
      let number = try Self.number(of: rater, database)
      let orders = everyOrder ? AnswerOrder.allCases : [verdict.shown]
      for order in orders {
        for table in ["verdicts", "failures"] {
          try database.execute(
            sql: "DELETE FROM \(table) WHERE pair = ? AND rater = ? AND shown = ?", arguments: [pair, number, order.rawValue])
        }
      }
      try database.execute(
        sql: """
          INSERT INTO verdicts (pair, rater, shown, choice, probability, reason, decided_at) VALUES (?, ?, ?, ?, ?, ?, ?)
          """,
        arguments: [
          pair, number, verdict.shown.rawValue, verdict.choice.rawValue, verdict.probability, verdict.reason,
          verdict.date.ISO8601Format(),
        ])
    }
  }

  /// Takes back the newest verdict of a rater.
  ///
  /// - Returns: the pair concerned and what was said; nil where there is nothing to take back.
  public func retract(lastOf rater: String) throws(PreferenceError) -> (pair: Int64, verdict: Verdict)? {
    try write { database in
      let row = try Row.fetchOne(
        database, sql: "SELECT * FROM verdicts WHERE rater = ? ORDER BY id DESC LIMIT 1",
        arguments: [try Self.number(of: rater, database)])
      guard let row else { return nil }
      try database.execute(sql: "DELETE FROM verdicts WHERE id = ?", arguments: [row["id"] as Int64])
      return (row["pair"], try Verdict(row: row))
    }
  }

  /// The pairs of which a rater has said nothing, in the order in which they were added.
  ///
  /// - Parameters:
  ///   - rater: who is to say something.
  ///   - order: nothing while the answers stood so; nil: nothing at all.
  ///   - countingSkips: whether what was skipped is said.
  public func pairs(
    awaiting rater: String, shown order: AnswerOrder? = nil, countingSkips: Bool = true
  ) throws(PreferenceError) -> [Int64] {
    try read { database in
      var sql = "SELECT id FROM pairs WHERE id NOT IN (SELECT pair FROM verdicts WHERE rater = ?"
      var arguments: StatementArguments = [try Self.number(of: rater, database)]
      if let order {
        sql += " AND shown = ?"
        arguments += [order.rawValue]
      }
      if !countingSkips { sql += " AND choice <> 'skip'" }
      return try Int64.fetchAll(database, sql: sql + ") ORDER BY id", arguments: arguments)
    }
  }

  /// Every verdict, by rater and pair, older ones first.
  public func verdicts() throws(PreferenceError) -> [(rater: Rater, pair: Int64, verdict: Verdict)] {
    try read { database in
      var raters: [Int64: Rater] = [:]
      for row in try Row.fetchAll(database, sql: "SELECT * FROM raters") { raters[row["id"]] = try Rater(row: row) }
      return try Row.fetchAll(database, sql: "SELECT * FROM verdicts ORDER BY rater, pair, id").map { row in
        guard let rater = raters[row["rater"]] else { throw PreferenceError("a verdict of the store has no rater") }
        return (rater, row["pair"], try Verdict(row: row))
      }
    }
  }

  /// What each rater thinks of each pair that it has said something of.
  public func opinions() throws(PreferenceError) -> [Opinion] {
    let all = try verdicts()
    var opinions: [Opinion] = []
    var start = 0
    while start < all.count {
      let (rater, pair, _) = all[start]
      let end = all[start...].firstIndex { $0.pair != pair || $0.rater.name != rater.name } ?? all.count
      let choice = rater.combination.opinion(all[start..<end].map(\.verdict))
      opinions.append(Opinion(pair: pair, rater: rater.name, choice: choice))
      start = end
    }
    return opinions
  }

  static func number(of rater: String, _ database: Database) throws -> Int64 {
    let number = try Int64.fetchOne(database, sql: "SELECT id FROM raters WHERE name = ?", arguments: [rater])
    guard let number else { throw PreferenceError("the store has no rater “\(rater)”") }
    return number
  }
}

extension Rater {
  fileprivate init(row: Row) throws {
    let combination: Combination =
      switch row["combination"] as String {
      case "agreement": .agreement
      case "mean": .mean(margin: row["margin"] ?? 0)
      default: .newest
      }
    guard let kind = Kind(rawValue: row["kind"]) else { throw PreferenceError("a rater of the store is of no known kind") }
    self.init(row["name"], kind: kind, model: row["model"], rubric: row["rubric"], combination: combination)
  }

  /// What this one has that `other` has not, in words.
  fileprivate func difference(from other: Rater) -> String {
    if kind != other.kind { return "a \(kind.rawValue)" }
    if model != other.model { return "with the model \(model ?? "none")" }
    if rubric != other.rubric { return "with another rubric" }
    return "whose two orders are combined in another way"
  }
}

extension Rater.Combination {
  fileprivate var stored: (name: String, margin: Double?) {
    switch self {
    case .newest: ("newest", nil)
    case .agreement: ("agreement", nil)
    case .mean(let margin): ("mean", margin)
    }
  }
}

extension Verdict {
  fileprivate init(row: Row) throws {
    guard let choice = Choice(rawValue: row["choice"]), let shown = AnswerOrder(rawValue: row["shown"]) else {
      throw PreferenceError("a verdict of the store is of no known kind")
    }
    let day: String = row["decided_at"]
    guard let date = try? Date(day, strategy: .iso8601) else {
      throw PreferenceError("a verdict of the store has the date “\(day)”")
    }
    self.init(choice, shown: shown, probability: row["probability"], reason: row["reason"], date: date)
  }
}
