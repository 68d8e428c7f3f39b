import Checkpoints
import Foundation
import OrderedCollections
import Rewards
import Text
import Training

/// `rollouts.jsonl`: answers that a run drew, one object a row: `round`, `prompt`, `completion`, `finished`, `rewards`, `reward`,
/// `advantage`.
public final class RolloutLog {
  /// The file's name in a run's folder.
  public static let fileName = "rollouts.jsonl"
  private let url: URL

  /// The log in a run's folder; it begins with the first row.
  public init(folder: URL) { url = folder.appending(path: Self.fileName) }

  /// The last rows of a run's folder, oldest first; none where there is no file.
  public static func rows(in folder: URL, last count: Int) -> [JSON] {
    guard let text = try? String(contentsOf: folder.appending(path: fileName), encoding: .utf8) else { return [] }
    return text.split(separator: "\n").suffix(count).compactMap { try? JSON(parsing: String($0)) }
  }

  /// Drops rows of later rounds: the run goes on from there.
  func keep(until round: Int) throws {
    guard let text = try? String(contentsOf: url, encoding: .utf8) else { return }
    let kept = text.split(separator: "\n").filter { line in
      (try? JSON(parsing: String(line)))?["round"]?.int.map { $0 <= round } ?? false
    }
    try AtomicFile.write(kept.map { $0 + "\n" }.joined(), to: url)
  }

  /// Adds the first answers of a round.
  func append(_ rollouts: [Rollout], advantages: [Double], round: Int, limit: Int) throws {
    let lines = zip(rollouts, advantages).prefix(limit).map { rollout, advantage in
      let parts = rollout.parts.mapValues { $0.map(JSON.double) ?? .null }
      let row: OrderedDictionary<String, JSON> = [
        "round": .int(round), "prompt": .string(rollout.completion.prompt), "completion": .string(rollout.completion.text),
        "finished": .bool(rollout.completion.isFinished), "rewards": .object(parts),
        "reward": rollout.reward.map(JSON.double) ?? .null, "advantage": .double(advantage),
      ]
      return JSON.object(row).text() + "\n"
    }
    do {
      if !FileManager.default.fileExists(atPath: url.path) { try Data().write(to: url) }
      let file = try FileHandle(forWritingTo: url)
      defer { try? file.close() }
      try file.seekToEnd()
      try file.write(contentsOf: Data(lines.joined().utf8))
    } catch {
      throw TrainingError("\(url.path) cannot be written: \(error.localizedDescription)")
    }
  }
}
