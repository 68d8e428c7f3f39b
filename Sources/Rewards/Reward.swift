import OrderedCollections
import Text

/// What a model answered to a prompt, and what is known of the prompt.
public struct Completion: Sendable, Hashable {
  /// The prompt as text: as the model got it.
  public var prompt: String
  /// The same as a conversation; empty where it was none.
  public var messages: [Message]
  /// The answer, without special tokens.
  public var text: String
  /// The answer's tokens, with the one that ended it.
  public var ids: [Int32]
  /// Whether the model ended it; false where a limit cut it off.
  public var isFinished: Bool
  /// The other columns of the data row: a reference answer, for instance.
  public var columns: OrderedDictionary<String, JSON>

  /// An answer to a prompt.
  public init(
    prompt: String, messages: [Message] = [], text: String, ids: [Int32] = [], isFinished: Bool = true,
    columns: OrderedDictionary<String, JSON> = [:]
  ) {
    (self.prompt, self.messages, self.text) = (prompt, messages, text)
    (self.ids, self.isFinished, self.columns) = (ids, isFinished, columns)
  }
}

/// What a reward says of some completions.
public struct RewardScores: Sendable, Hashable {
  /// One for each completion, in their order; nil where there is nothing to say: such a completion is not learnt from.
  public var values: [Double?]
  /// What went wrong, for people. A reward that fails never ends a run.
  public var problems: [String]

  /// Scores, and what went wrong on the way.
  public init(_ values: [Double?], problems: [String] = []) { (self.values, self.problems) = (values, problems) }

  /// No score for any of `count` completions, for one reason.
  public static func none(_ count: Int, since problem: String) -> RewardScores {
    RewardScores(Array(repeating: nil, count: count), problems: [problem])
  }
}

/// Says what completions are worth.
public protocol Reward {
  /// One score for each of `completions`, in their order. Every score is finite.
  func score(_ completions: [Completion]) -> RewardScores
}

/// A reward as a recipe describes it: which one, and its settings.
///
/// A file of its own for each, and a line in ``Rewards/kinds``.
public protocol RewardConfiguration: Sendable {
  /// What a recipe calls it: `regex` …
  static var type: String { get }
  /// Reads its settings; what is not read is refused afterwards.
  ///
  /// - Throws: ``RewardError`` that names the key.
  init(_ settings: RewardSettings) throws(RewardError)
  /// Its settings, as a recipe gives them.
  var settings: OrderedDictionary<String, JSON> { get }
  /// The reward, ready to score: loads what it needs.
  ///
  /// - Throws: what keeps it from starting.
  func open() throws -> any Reward
}

extension RewardConfiguration where Self: Reward {
  /// Itself: nothing has to be loaded.
  public func open() throws -> any Reward { self }
}
