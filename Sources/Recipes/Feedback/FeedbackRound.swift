import Checkpoints
import Foundation

/// A round of a feedback run: its folder, and what it came to.
struct FeedbackRound {
  /// Its number, from 1.
  let number: Int
  /// `rounds/N` in the run's folder.
  let folder: URL

  init(_ number: Int, in run: URL) {
    self.number = number
    folder = run.appending(path: "rounds/\(number)")
  }

  /// The prompts with their answers, as they were sampled.
  var answers: LineLog { LineLog(url: folder.appending(path: "answers.jsonl")) }
  /// Principle, critique and revised answer, one line an answer.
  var revisions: LineLog { LineLog(url: folder.appending(path: "revisions.jsonl")) }
  /// The revised answers as data to learn: prompts with completions.
  var revised: URL { folder.appending(path: "revised.jsonl") }
  /// Pairs of answers, and what the judge says of them.
  var store: URL { folder.appending(path: "feedback.sqlite") }
  /// What the judge prefers, as data.
  var preferences: URL { folder.appending(path: "preferences.jsonl") }
  /// The folder of the tuning.
  var tuning: URL { folder.appending(path: "tune") }
  /// The adapter at the end.
  var adapter: URL { tuning.appending(path: "adapter") }
  private var record: URL { folder.appending(path: "round.json") }

  /// What the round came to; nil where it is not over.
  func figures() throws -> RoundFigures? {
    guard FileManager.default.fileExists(atPath: record.path) else { return nil }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    do { return try decoder.decode(RoundFigures.self, from: Data(contentsOf: record)) } catch {
      throw RecipeError("\(record.path) is damaged: \(error); remove the folder \(folder.path) to do the round again")
    }
  }

  /// Writes what the round came to: from here on it is over.
  func finish(_ figures: RoundFigures) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    try AtomicFile.write(Array(try encoder.encode(figures)), to: record)
  }
}

/// What a round came to.
public struct RoundFigures: Sendable, Hashable, Codable {
  /// Its number, from 1.
  public var round: Int
  /// Prompts.
  public var prompts = 0
  /// Prompts that do not fit the model's context, and have no answers.
  public var promptsTooLong = 0
  /// Answers.
  public var answers = 0
  /// Answers that were revised.
  public var revised = 0
  /// Pairs of different answers to one prompt.
  public var pairs = 0
  /// Verdicts on them, one for each order.
  public var verdicts = 0
  /// Questions that the judge could not answer.
  public var failures = 0
  /// Pairs that the judge calls even.
  public var ties = 0
  /// Pairs of which one answer is preferred.
  public var preferences = 0
  /// Pairs judged in both orders.
  public var bothOrders = 0
  /// Of these, with the same verdict in both.
  public var consistent = 0
  /// Verdicts for one of the answers.
  public var decided = 0
  /// Of these, for the answer shown first.
  public var choseFirst = 0
  /// Words of the preferred answers, on average.
  public var chosenWords: Double?
  /// Words of the others.
  public var rejectedWords: Double?
  /// Steps of the tuning.
  public var steps = 0
  /// The last loss of the tuning.
  public var loss: Double?
  /// The last share of pairs whose better answer the model finds likelier than the reference does.
  public var rewardAccuracy: Double?
}
