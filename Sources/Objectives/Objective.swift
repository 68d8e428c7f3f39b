import Datasets
import NN
import Torch

/// What a run minimises.
///
/// An objective gives sums, not means: the trainer divides by the count of the whole optimizer step, so that neither accumulation
/// nor uneven lengths change what is minimised.
public protocol Objective {
  /// The name a recipe gives it: `sft` …
  var name: String { get }
  /// The data it learns from.
  var learnsFrom: LearningMaterial { get }
  /// Whether it measures against the model as it is before the first step: batches come with `Batch.references` then.
  var needsReference: Bool { get }
  /// The head that scores texts which it trains in place of the one that predicts tokens; nil where it needs none.
  var scoreHead: ScoreHeadShape? { get }
  /// Whether dropouts work while it is trained on.
  var usesDropout: Bool { get }
  /// What the method's learning rate is multiplied by in a run that names none.
  var rateScale: Double { get }
  /// The samples that its batches are made of, out of those of the data.
  ///
  /// - Parameters:
  ///   - samples: of the data, in their order.
  ///   - batchSize: how many of them a batch has.
  ///   - limit: the most tokens a sample may have.
  func prepared(_ samples: [EncodedSample], batchSize: Int, limit: Int) -> [EncodedSample]
  /// What `batch` adds to the count the step's loss is divided by. Needs no forward pass.
  func count(_ batch: Batch) -> Int
  /// What `batch` adds to the step's loss, before division, and what is reported beside it.
  ///
  /// - Throws: what the model throws.
  func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum
}

extension Objective {
  /// No.
  public var needsReference: Bool { false }
  /// None.
  public var scoreHead: ScoreHeadShape? { nil }
  /// Yes.
  public var usesDropout: Bool { true }
  /// 1.
  public var rateScale: Double { 1 }
  /// Those of the data.
  public func prepared(_ samples: [EncodedSample], batchSize: Int, limit: Int) -> [EncodedSample] { samples }
  /// What `batch` adds to the step's loss, before division: one number with a graph behind it.
  public func lossSum(_ batch: Batch, model: any CausalLM) throws -> Tensor { try evaluate(batch, model: model).loss }
}

/// What samples an objective learns from.
public enum LearningMaterial: Sendable, Hashable {
  /// Texts and answers, each for itself.
  case texts
  /// Two or more answers to each prompt, the best one first.
  case pairs
  /// Answers that are called good or bad, each for itself.
  case labelled
  /// Prompts, which the model answers in the course of the run.
  case prompts

  /// Whether an objective that learns from this can take `found`: a pair is a good answer and a bad one.
  public func takes(_ found: LearningMaterial) -> Bool { self == found || (self == .labelled && found == .pairs) }

  /// In words.
  public var words: String {
    switch self {
    case .texts: "texts and answers (messages, sharegpt, prompt-completion, alpaca, text)"
    case .pairs: "pairs of answers (preference: chosen and rejected; ranking)"
    case .labelled: "answers with a label (kto)"
    case .prompts: "prompts"
    }
  }
}

/// What an objective says of a batch.
public struct ObjectiveSum {
  /// What is added to the loss of the step, before division: one number with a graph behind it.
  public let loss: Tensor
  /// What is reported beside it.
  public let figures: Figures

  /// A loss, and what is reported beside it.
  public init(_ loss: Tensor, _ figures: Figures = Figures()) { (self.loss, self.figures) = (loss, figures) }
}

/// Means on their way, by the names that reports give them: sums and what they are divided by.
public struct Figures: Sendable, Hashable, Codable {
  private struct Mean: Sendable, Hashable, Codable {
    var sum = 0.0
    var count = 0
  }

  private var means: [String: Mean] = [:]

  /// Nothing yet.
  public init() {}

  /// Adds numbers to what becomes their mean.
  public mutating func add(_ name: String, _ numbers: some Collection<Double>) {
    add(name, sum: numbers.reduce(0, +), count: numbers.count)
  }

  /// Adds a sum to what becomes the mean of `count` numbers more.
  public mutating func add(_ name: String, sum: Double, count: Int) {
    means[name, default: Mean()].sum += sum
    means[name, default: Mean()].count += count
  }

  /// Adds those of another batch.
  public mutating func add(_ other: Figures) {
    for (name, mean) in other.means {
      means[name, default: Mean()].sum += mean.sum
      means[name, default: Mean()].count += mean.count
    }
  }

  /// The means; nil where nothing was added.
  public var values: [String: Double]? {
    means.isEmpty ? nil : means.mapValues { $0.count > 0 ? $0.sum / Double($0.count) : 0 }
  }
}
