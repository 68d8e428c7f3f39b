import Foundation
import GRDB

/// A pair that a judge could not judge.
public struct JudgingFailure: Sendable, Hashable {
  /// The pair's number.
  public let pair: Int64
  /// How the answers stood.
  public let shown: AnswerOrder
  /// What went wrong.
  public let problem: String
}

extension PreferenceStore {
  /// Writes down that a rater could not judge a pair; a verdict later takes it away.
  public func record(failure problem: String, on pair: Int64, shown: AnswerOrder, by rater: String) throws(PreferenceError) {
    try write { database in
      try database.execute(
        sql: """
          INSERT INTO failures (pair, rater, shown, problem, failed_at) VALUES (?, ?, ?, ?, ?)
          ON CONFLICT (pair, rater, shown) DO UPDATE SET problem = excluded.problem, failed_at = excluded.failed_at
          """,
        arguments: [pair, try Self.number(of: rater, database), shown.rawValue, problem, Date().ISO8601Format()])
    }
  }

  /// What a rater could not judge and has not judged since.
  public func failures(of rater: String) throws(PreferenceError) -> [JudgingFailure] {
    try read { database in
      try Row.fetchAll(
        database, sql: "SELECT * FROM failures WHERE rater = ? ORDER BY pair, shown",
        arguments: [try Self.number(of: rater, database)]
      ).map { row in
        JudgingFailure(pair: row["pair"], shown: AnswerOrder(rawValue: row["shown"]) ?? .ab, problem: row["problem"])
      }
    }
  }
}
