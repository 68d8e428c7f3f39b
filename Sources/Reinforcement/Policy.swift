import Datasets
import Generation
import NN
import Objectives
import Text

/// The model that answers and learns, as it stands, and what it is held to.
public struct Policy {
  /// The model, with what is tuned at work.
  public let model: any CausalLM
  /// Its tokenizer.
  public let tokenizer: any Tokenizer
  /// What is expected of answers; nil where nothing has to be.
  public let head: ValueHead?
  /// Runs something with the model as it is held to: with what is tuned switched off.
  public let asReference: (() throws -> Void) throws -> Void

  /// A policy by its parts.
  public init(
    model: any CausalLM, tokenizer: any Tokenizer, head: ValueHead? = nil,
    asReference: @escaping (() throws -> Void) throws -> Void
  ) {
    (self.model, self.tokenizer, self.head, self.asReference) = (model, tokenizer, head, asReference)
  }

  /// What the policy says of the answers of batches.
  func measure(_ batches: [Batch], temperature: Double) throws -> [PolicyMeasurement] {
    try model.inference {
      try batches.map { try PolicyMeasurement($0, model: model, temperature: temperature, head: head) }
    }
  }

  /// ln p of the same by the reference.
  func measureReference(_ batches: [Batch], temperature: Double) throws -> [[[Float]]] {
    var measured: [[[Float]]] = []
    try asReference {
      measured = try model.inference {
        try batches.map { try PolicyMeasurement($0, model: model, temperature: temperature).logProbs }
      }
    }
    return measured
  }
}
