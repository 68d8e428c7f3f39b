import Foundation
import GRDB
import Text

extension PreferenceStore {
  /// Adds every pair of different answers to a prompt, and leaves alone what is there already.
  ///
  /// - Parameters:
  ///   - prompt: what is answered.
  ///   - tools: JSON schemas of the tools on offer, as JSON text.
  ///   - answers: two or more; equal ones count once.
  ///   - source: where they came from.
  /// - Returns: the pair of each two answers, by their places in `answers`, with whether it was new.
  @discardableResult
  public func add(
    _ prompt: Passage, tools: String? = nil, answers: [Passage], source: String? = nil
  ) throws(PreferenceError) -> [StoredPair] {
    try write { database in
      let place = try Self.prompt(prompt, tools: tools, database)
      var numbers: [(answer: Int64, digest: String)] = []
      for answer in answers { numbers.append((try Self.answer(answer, to: place, database), answer.digest)) }
      var pairs: [StoredPair] = []
      for first in numbers.indices {
        for second in numbers.indices.dropFirst(first + 1) where numbers[first].answer != numbers[second].answer {
          let isInOrder = numbers[first].digest < numbers[second].digest
          let (a, b) = isInOrder ? (first, second) : (second, first)
          let known = try Int64.fetchOne(
            database, sql: "SELECT id FROM pairs WHERE a = ? AND b = ?", arguments: [numbers[a].answer, numbers[b].answer])
          if known == nil {
            try database.execute(
              sql: "INSERT INTO pairs (prompt, a, b, source, added_at) VALUES (?, ?, ?, ?, ?)",
              arguments: [place, numbers[a].answer, numbers[b].answer, source, Date().ISO8601Format()])
          }
          pairs.append(StoredPair(id: known ?? database.lastInsertedRowID, a: a, b: b, isNew: known == nil))
        }
      }
      return pairs
    }
  }

  /// A pair as it was added.
  public struct StoredPair: Sendable, Hashable {
    /// Its number.
    public let id: Int64
    /// The place of its answer `a` among those given.
    public let a: Int
    /// The place of its answer `b`.
    public let b: Int
    /// Whether the store did not have it.
    public let isNew: Bool
  }

  private static func prompt(_ prompt: Passage, tools: String?, _ database: Database) throws -> Int64 {
    let digest = tools.map { Passage.text(prompt.digest + $0).digest } ?? prompt.digest
    if let known = try Int64.fetchOne(database, sql: "SELECT id FROM prompts WHERE digest = ?", arguments: [digest]) {
      return known
    }
    try database.execute(
      sql: "INSERT INTO prompts (digest, content, tools) VALUES (?, ?, ?)", arguments: [digest, prompt.json.text(), tools])
    return database.lastInsertedRowID
  }

  private static func answer(_ answer: Passage, to prompt: Int64, _ database: Database) throws -> Int64 {
    let digest = answer.digest
    let known = try Int64.fetchOne(
      database, sql: "SELECT id FROM answers WHERE prompt = ? AND digest = ?", arguments: [prompt, digest])
    if let known { return known }
    try database.execute(
      sql: "INSERT INTO answers (prompt, digest, content) VALUES (?, ?, ?)", arguments: [prompt, digest, answer.json.text()])
    return database.lastInsertedRowID
  }

  /// The numbers of all pairs, in the order in which they were added.
  public func pairs() throws(PreferenceError) -> [Int64] {
    try read { try Int64.fetchAll($0, sql: "SELECT id FROM pairs ORDER BY id") }
  }

  /// How many prompts there are.
  public func promptCount() throws(PreferenceError) -> Int {
    try read { try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM prompts") ?? 0 }
  }

  /// A pair by its number.
  ///
  /// - Throws: ``PreferenceError`` where there is none, or its texts are damaged.
  public func pair(_ id: Int64) throws(PreferenceError) -> AnswerPair {
    try read { database in
      let row = try Row.fetchOne(
        database,
        sql: """
          SELECT prompts.content AS prompt, prompts.tools AS tools, first.content AS a, second.content AS b, pairs.source AS source
          FROM pairs JOIN prompts ON prompts.id = pairs.prompt
          JOIN answers AS first ON first.id = pairs.a JOIN answers AS second ON second.id = pairs.b
          WHERE pairs.id = ?
          """, arguments: [id])
      guard let row else { throw PreferenceError("there is no pair \(id)") }
      return AnswerPair(
        id: id, prompt: try Passage(stored: row["prompt"]), tools: row["tools"], a: try Passage(stored: row["a"]),
        b: try Passage(stored: row["b"]), source: row["source"])
    }
  }
}
