import Checkpoints
import Foundation

/// One row of `metrics.jsonl`.
public struct MetricsRow: Sendable, Codable, Hashable {
  /// Optimizer steps done.
  public var step: Int
  /// Epochs done, with fractions.
  public var epoch: Double
  /// Mean loss of the trained tokens since the row before.
  public var loss: Double?
  /// The rate the step used.
  public var learningRate: Double?
  /// The norm of the step's gradients before clipping.
  public var gradientNorm: Double?
  /// Tokens that went through the model so far.
  public var tokens: Int
  /// Tokens a second since the row before.
  public var tokensPerSecond: Double?
  /// The most memory the process has held, in bytes.
  public var peakMemoryBytes: Int
  /// Mean loss on the evaluation data.
  public var evalLoss: Double?
  /// Trained tokens of the evaluation data, or what else the loss is the mean over.
  public var evalTokens: Int?
  /// What the objective reports beside the loss, means since the row before.
  public var figures: [String: Double]?
  /// The same on the evaluation data.
  public var evalFigures: [String: Double]?

  enum CodingKeys: String, CodingKey {
    case step, epoch, loss, tokens, figures
    case evalFigures = "eval_figures"
    case learningRate = "learning_rate"
    case gradientNorm = "grad_norm"
    case tokensPerSecond = "tokens_per_second"
    case peakMemoryBytes = "peak_memory_bytes"
    case evalLoss = "eval_loss"
    case evalTokens = "eval_tokens"
  }
}

/// `metrics.jsonl`: one object a row, each row written whole.
public final class MetricsLog {
  private let url: URL
  /// The rows so far, those of earlier sittings included.
  public private(set) var rows: [MetricsRow] = []

  /// Starts a log, or goes on with the one that is there.
  ///
  /// - Parameters:
  ///   - url: the file.
  ///   - step: rows after this step are dropped: the run goes on from there.
  /// - Throws: `CheckpointError` where the file cannot be written.
  public init(_ url: URL, keepingUntil step: Int) throws {
    self.url = url
    if step > 0, let text = try? String(contentsOf: url, encoding: .utf8) {
      let decoder = JSONDecoder()
      rows = text.split(separator: "\n").compactMap { try? decoder.decode(MetricsRow.self, from: Data($0.utf8)) }
        .filter { $0.step <= step }
    }
    try AtomicFile.write(try rows.map { try MetricsLog.line($0) }.joined(), to: url)
  }

  private static func line(_ row: MetricsRow) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(row), as: UTF8.self) + "\n"
  }

  /// Adds a row.
  public func append(_ row: MetricsRow) throws {
    rows.append(row)
    guard let file = FileHandle(forWritingAtPath: url.path) else {
      throw TrainingError("\(url.path) has gone; the run needs it to write its metrics")
    }
    defer { try? file.close() }
    let line = Data(try MetricsLog.line(row).utf8)
    do {
      try file.seekToEnd()
      try file.write(contentsOf: line)
    } catch {
      throw TrainingError("\(url.path) cannot be written: \(error.localizedDescription)")
    }
  }
}

/// Memory of this process.
public enum ProcessMemory {
  /// The most it has held at once, in bytes; 0 where the system does not say.
  public static var peakBytes: Int { bytes("VmHWM") }
  /// What it holds now, in bytes; 0 where the system does not say.
  public static var residentBytes: Int { bytes("VmRSS") }

  private static func bytes(_ key: String) -> Int {
    guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return 0 }
    let line = status.split(separator: "\n").first { $0.hasPrefix(key + ":") }
    let kilobytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0
    return kilobytes * 1024
  }
}
