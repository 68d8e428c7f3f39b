import Datasets
import NN
import Torch

/// The learnt tokens of answers that a policy gave, with what a policy gradient needs. With N tokens of S answers all tensors are
/// [N] float32, the tokens of an answer after one another.
struct PolicyTokens {
  /// ln p of each token, with a gradient.
  let logProbs: Tensor
  /// ln p by the policy that gave the answers.
  let oldLogProbs: Tensor
  /// ln p by the policy that training is held to; nil where there is none.
  let references: Tensor?
  /// How much better than expected each token turned out.
  let advantages: Tensor
  /// Tokens of each answer [S].
  let counts: [Int]

  init(logProbs: Tensor, oldLogProbs: Tensor? = nil, references: Tensor? = nil, advantages: Tensor, counts: [Int])
    throws(TorchError)
  {
    self.logProbs = logProbs
    self.oldLogProbs = if let oldLogProbs { oldLogProbs } else { try logProbs.detached() }
    (self.references, self.advantages, self.counts) = (references, advantages, counts)
  }

  /// The learnt tokens of a batch after one pass; nil where it has none.
  ///
  /// - Parameters:
  ///   - temperature: what scores are divided by, as when the answers were drawn.
  ///   - hidden: what the head takes at the places that predict them, [N, d].
  init(_ batch: Batch, _ targets: TokenTargets, model: any CausalLM, after hidden: Tensor, temperature: Double) throws {
    let tokens = try Tensor(targets.tokens).to(model.device)
    let old = try Self.numbers(batch, \.oldLogProbs, targets, model)
    try self.init(
      logProbs: try model.logProbs(of: tokens, after: hidden, temperature: temperature), oldLogProbs: old,
      references: try Self.numbers(batch, \.referenceLogProbs, targets, model),
      advantages: try Self.numbers(batch, \.advantages, targets, model) ?? .zeros([targets.tokens.count], device: model.device),
      counts: targets.counts)
  }

  /// A column of the batch's experience [N]; nil where it is empty.
  ///
  /// - Throws: `TorchError` where it is not of as many numbers as there are tokens.
  static func numbers(
    _ batch: Batch, _ column: (Experience) -> [Float], _ targets: TokenTargets, _ model: any CausalLM
  ) throws(TorchError) -> Tensor? {
    var values: [Float] = []
    for experience in batch.experience { values += experience.map(column) ?? [] }
    guard !values.isEmpty else { return nil }
    guard values.count == targets.tokens.count else {
      throw TorchError(operation: "experience", message: "\(values.count) numbers for \(targets.tokens.count) learnt tokens")
    }
    return try Tensor(values).to(model.device)
  }

  /// The answer of each token [N].
  private var owners: [Int64] { counts.enumerated().flatMap { Array(repeating: Int64($0), count: $1) } }

  /// The sums of `x` [N] over each answer [S].
  func sums(_ x: Tensor) throws(TorchError) -> Tensor {
    var sums: [Tensor] = []
    for part in try x.split(0, counts) { sums.append(try part.sum()) }
    return try .stacked(sums)
  }

  /// The means of `x` [N] over each answer [S]; 0 for an answer without tokens.
  func means(_ x: Tensor) throws(TorchError) -> Tensor {
    try sums(x) / Tensor(counts.map { Float(max(1, $0)) }).to(x.device)
  }

  /// What each token has of its answer's number [S].
  func spread(_ x: Tensor) throws(TorchError) -> Tensor { try x.indexed(0, try Tensor(owners).to(x.device)) }

  /// Schulman's estimate of the divergence from the reference, e^(−d) + d − 1 with d = ln p − ln p of the reference, at each token [N];
  /// nil where there is no reference.
  func divergence() throws(TorchError) -> Tensor? {
    guard let references else { return nil }
    let difference = try references - logProbs
    return try difference.exp() - difference - 1
  }
}

extension CausalLM {
  /// ln p(target) after each row with scores divided by a temperature: [N], as they were when the target was drawn.
  ///
  /// The head is linear, so that its input can be divided instead of its output.
  ///
  /// - Throws: `TorchError` where the head has a bias and the temperature is not 1.
  public func logProbs(of targets: Tensor, after hidden: Tensor, temperature: Double) throws(TorchError) -> Tensor {
    guard temperature != 1 else { return try logProbs(of: targets, after: hidden) }
    if let head = head as? Linear, try head.linearWeight(for: hidden.dtype)?.bias != nil {
      throw TorchError(
        operation: "temperature", message: "the model's head has a bias: answers can be learnt from at temperature 1 alone")
    }
    return try logProbs(of: targets, after: try hidden / temperature)
  }
}

extension Tensor {
  /// The numbers, for reports.
  func numbers() throws(TorchError) -> [Double] { try detached().to(.float32).array(Float.self).map(Double.init) }
}
