import Torch

/// What a head that scores texts gives: transformers' `score` of `…ForSequenceClassification` and `…ForTokenClassification`.
public struct ScoreHeadShape: Sendable, Hashable {
  /// Scores a place has, from 1.
  public var labels: Int
  /// Whether there is a number that is added to each: transformers has one where tokens are classified, and none for sequences.
  public var hasBias: Bool

  /// A head of so many scores.
  public init(labels: Int, hasBias: Bool = false) { (self.labels, self.hasBias) = (labels, hasBias) }

  /// One score for a text, of the place of its last token: a reward.
  public static let reward = ScoreHeadShape(labels: 1)
}

extension CausalLM {
  /// Gives the model a new score head, frozen, in float32, in the place of one that it may have.
  ///
  /// - Parameters:
  ///   - shape: how many scores.
  ///   - deviation: W ~ N(0, deviation²), as transformers starts it with `initializer_range`; 0 for zeros.
  public func setScoreHead(_ shape: ScoreHeadShape, deviation: Double = 0.02) throws(TorchError) {
    let weight = try Tensor.zeros([shape.labels, self.shape.hiddenSize], device: device)
    if deviation > 0 { try weight.normalInPlace(standardDeviation: deviation) }
    score = Linear(weight: weight, bias: shape.hasBias ? try .zeros([shape.labels], device: device) : nil)
  }

  /// What the score head says of rows: hidden [N, d] → [N, labels] float32, computed in float32.
  ///
  /// - Throws: `TorchError` where the model has no such head.
  public func scores(_ hidden: Tensor) throws(TorchError) -> Tensor {
    guard let score else {
      throw TorchError(operation: "score", message: "the model has no head that scores texts; it is no reward model")
    }
    return try score.forward(try hidden.to(.float32))
  }

  /// The head's form; nil where the model has none.
  public var scoreHeadShape: ScoreHeadShape? {
    score.map { ScoreHeadShape(labels: $0.outputSize, hasBias: $0.bias != nil) }
  }

  /// Whether the model can predict tokens: one that was made to score texts has no projection onto the vocabulary.
  public var predictsTokens: Bool { !(head is AbsentHead) }
}

/// Stands where a model has no projection onto the vocabulary, as one that only scores texts.
public final class AbsentHead: Module, Projection {
  /// Features that go in.
  public let inputSize: Int

  /// In a model with so many features.
  public init(_ inputSize: Int) { self.inputSize = inputSize }

  /// None.
  public var outputSize: Int { 0 }
  /// False.
  public var storesTransposed: Bool { false }
  /// Nil.
  public var denseBias: Tensor? { nil }

  private var absence: TorchError {
    TorchError(operation: "head", message: "the model scores texts and has no head that predicts tokens")
  }

  /// Throws: there is nothing to compute.
  public func forward(_ x: Tensor) throws(TorchError) -> Tensor { throw absence }
  /// Throws: there are no numbers.
  public func denseWeight() throws(TorchError) -> Tensor { throw absence }
  /// Throws: nothing takes its place.
  public func replacing(weight: Tensor, bias: Tensor?) throws(TorchError) -> any Projection { throw absence }
}
