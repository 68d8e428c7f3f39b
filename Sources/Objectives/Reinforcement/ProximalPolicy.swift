import Datasets
import NN
import Torch

/// The settings of proximal policy optimization that its loss has, under the names of TRL's last version.
public struct ProximalSettings: Sendable, Hashable {
  /// How far from 1 a ratio counts, above 0.
  public var clipRange = 0.2
  /// How far from what it was a value counts, above 0.
  public var valueClipRange = 0.2
  /// How strongly the values' loss counts.
  public var valueWeight = 0.1
  /// What scores were divided by when answers were drawn.
  public var temperature = 0.7

  /// The defaults of TRL's last version.
  public init() {}
}

/// Proximal policy optimization: tokens become likelier by how much better than the value head expected they turned out, and the head
/// learns to expect better. Schulman et al., arXiv:1707.06347; for language models Ziegler et al., arXiv:1909.08593.
///
/// With ratio w = p/p_old, A the advantage, v the value, R the return: at each token
/// max(−w·A, −clip(w, 1 ± c)·A) + k·½·max((v − R)², (clip(v, v_old ± c_v) − R)²).
public struct ProximalPolicy: Objective, Sendable {
  /// How.
  public var settings: ProximalSettings

  /// The objective with these settings.
  public init(_ settings: ProximalSettings = ProximalSettings()) { self.settings = settings }

  /// `ppo`.
  public var name: String { "ppo" }
  /// Prompts.
  public var learnsFrom: LearningMaterial { .prompts }
  /// No: the policy that learns is to be the one that answered.
  public var usesDropout: Bool { false }
  /// 1/20: a policy moves in small steps.
  public var rateScale: Double { 0.05 }

  /// Tokens.
  public func count(_ batch: Batch) -> Int { batch.trainedTokens }

  /// - Throws: always: it takes a ``ValuedPolicy`` to learn.
  public func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum {
    throw TorchError(operation: name, message: "there is no value head to learn with")
  }
}

/// Proximal policy optimization at work, with the head that says what may be expected.
public struct ValuedPolicy: Objective {
  /// How.
  public let settings: ProximalSettings
  /// What is expected of answers.
  public let head: ValueHead

  /// The objective with these settings, and the head it teaches.
  public init(_ settings: ProximalSettings = ProximalSettings(), head: ValueHead) {
    (self.settings, self.head) = (settings, head)
  }

  /// `ppo`.
  public var name: String { "ppo" }
  /// Prompts.
  public var learnsFrom: LearningMaterial { .prompts }
  /// No: the policy that learns is to be the one that answered.
  public var usesDropout: Bool { false }

  /// Tokens.
  public func count(_ batch: Batch) -> Int { batch.trainedTokens }

  /// The sum of the losses of all tokens.
  public func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum {
    let targets = TokenTargets(batch)
    let hidden = try model.hidden(batch)
    guard !targets.tokens.isEmpty else { return ObjectiveSum(try hidden.to(.float32).sum() * 0) }
    let places = try hidden.squeezed(0).indexed(0, try Tensor(targets.places).to(model.device))
    let tokens = try PolicyTokens(batch, targets, model: model, after: places, temperature: settings.temperature)
    let none = try Tensor.zeros([targets.tokens.count], device: model.device)
    let values = Values(
      now: try head.values(places), before: try PolicyTokens.numbers(batch, \.oldValues, targets, model) ?? none,
      returns: try PolicyTokens.numbers(batch, \.returns, targets, model) ?? none)
    let (policy, ratio) = try policyLosses(tokens)
    let value = try valueLosses(values)
    var figures = Figures()
    figures.addClipping(
      try ratio.numbers(), try tokens.advantages.numbers(), low: 1 - settings.clipRange, high: 1 + settings.clipRange)
    figures.add("entropy", try tokens.logProbs.numbers().map { -$0 })
    figures.add("loss/policy", try policy.numbers())
    figures.add("loss/value", try value.numbers())
    figures.add("value/mean", try values.now.numbers())
    figures.add(
      "value/clip_ratio",
      zip(try values.now.numbers(), try values.before.numbers()).map { abs($0 - $1) > settings.valueClipRange ? 1 : 0 })
    return ObjectiveSum(try policy.sum() + value.sum() * settings.valueWeight, figures)
  }

  /// What a head says of each token, what it said when the answer was given, and what came of it [N].
  struct Values {
    let now: Tensor
    let before: Tensor
    let returns: Tensor
  }

  /// The policy's loss at each token, and its ratio [N].
  func policyLosses(_ tokens: PolicyTokens) throws(TorchError) -> (losses: Tensor, ratio: Tensor) {
    let ratio = try (tokens.logProbs - tokens.oldLogProbs).exp()
    let clipped = try ratio.clamp(1 - settings.clipRange, 1 + settings.clipRange)
    return (try -((ratio * tokens.advantages).minimum(clipped * tokens.advantages)), ratio)
  }

  /// The head's loss at each token [N], with the half, without its weight.
  func valueLosses(_ values: Values) throws(TorchError) -> Tensor {
    let moved = try (values.now - values.before).clamp(-settings.valueClipRange, settings.valueClipRange)
    let clipped = try values.before + moved
    return try (values.now - values.returns).pow(2).maximum((clipped - values.returns).pow(2)) * 0.5
  }
}

/// One number for each token: what a policy may expect from there on. A linear layer over what the model's own head takes, so that
/// policy and values share the model. Starts at 0 everywhere.
public final class ValueHead {
  /// [1, d] float32.
  public let weight: Tensor
  /// [1] float32.
  public let bias: Tensor

  /// A head for d features.
  public init(features: Int, device: Device = .cpu) throws(TorchError) {
    weight = try .zeros([1, features], device: device)
    bias = try .zeros([1], device: device)
  }

  /// hidden [N, d] → [N] float32.
  public func values(_ hidden: Tensor) throws(TorchError) -> Tensor { try hidden.to(.float32).linear(weight, bias).squeezed(-1) }

  /// What is trained, with the names its file gives it.
  public var parameters: [(path: String, value: Tensor)] { [("value_head.weight", weight), ("value_head.bias", bias)] }
}
