import OrderedCollections
import Text

/// The tokens whose rows are trained, under PEFT's `trainable_token_indices`: of the token table, and of a head that is a matrix
/// of its own.
public struct TokenIndices: Sendable, Hashable {
  /// Rows of the token table; the same ones of a head that is the table.
  public var table: [Int]
  /// Rows of a head that is a matrix of its own.
  public var head: [Int]

  /// The name of the head among the keys of a table of lists.
  static let headName = "lm_head"

  /// Rows by their numbers.
  public init(table: [Int] = [], head: [Int] = []) { (self.table, self.head) = (table, head) }

  /// Whether there are none.
  public var isEmpty: Bool { table.isEmpty && head.isEmpty }

  /// Adds tokens that are not there yet.
  ///
  /// - Parameters:
  ///   - tokens: the tokens.
  ///   - hasOwnHead: whether the head is a matrix of its own, whose rows are trained too then.
  mutating func add(_ tokens: [Int], hasOwnHead: Bool) {
    table += tokens.filter { !table.contains($0) }
    if hasOwnHead { head += tokens.filter { !head.contains($0) } }
  }

  /// Reads a list, or lists by the name of the table and of `lm_head`.
  ///
  /// - Throws: the source's error for another name.
  init?(_ source: any SettingsSource, _ key: String) throws {
    guard let lists = try source.intLists(key) else { return nil }
    self.init()
    for (name, tokens) in lists {
      switch name.split(separator: ".").last {
      case nil, "embed_tokens", "wte": table = tokens
      case "lm_head": head = tokens
      default: throw source.error(key, "names “\(name)”; known are embed_tokens (wte in GPT-2) and lm_head")
      }
    }
  }

  /// A list where the head has none, lists by name otherwise; null where there are none.
  var json: JSON {
    if isEmpty { return .null }
    let list = { (tokens: [Int]) in JSON.array(tokens.map(JSON.int)) }
    return head.isEmpty ? list(table) : .object(["embed_tokens": list(table), Self.headName: list(head)])
  }
}
