import Datasets
import NN
import OrderedCollections
import TestSupport
import Testing
import Text
import Torch

@testable import Objectives

/// Losses of policies against TRL's functions on fixed numbers, and against calculations by hand.
@Suite struct PolicyLossTests {
  private let golden: JSON

  init() throws { golden = try Goldens.json("reinforcement/losses.json") }

  private func numbers(_ json: JSON?) -> [Float] { (json?.array ?? []).compactMap(\.double).map(Float.init) }

  private func tokens(reference: Bool = true) throws -> PolicyTokens {
    let counts = (golden["counts"]?.array ?? []).compactMap(\.int)
    let advantages = zip(numbers(golden["advantages"]), counts).flatMap { Array(repeating: $0, count: $1) }
    let leaf = try Tensor(numbers(golden["log_probs"]))
    try leaf.setRequiresGradient(true)
    return try PolicyTokens(
      logProbs: leaf, oldLogProbs: try Tensor(numbers(golden["old"])),
      references: reference ? try Tensor(numbers(golden["reference"])) : nil, advantages: try Tensor(advantages), counts: counts)
  }

  private func settings(_ json: JSON?) throws -> PolicySettings {
    var settings = PolicySettings()
    settings.loss = try #require(PolicySettings.Loss(rawValue: json?["loss_type"]?.string ?? ""))
    settings.level = PolicySettings.Level(rawValue: json?["importance_sampling_level"]?.string ?? "token") ?? .token
    settings.beta = json?["beta"]?.double ?? 0
    settings.delta = json?["delta"]?.double
    settings.epsilonHigh = json?["epsilon_high"]?.double
    settings.correctsDivergence = json?["use_bias_correction_kl"]?.bool ?? true
    settings.maxCompletionLength = golden["max_completion_length"]?.int ?? 0
    return settings
  }

  @Test func lossesAndGradientsAreTheReferences() throws {
    let cases = try #require(golden["cases"]?.array)
    #expect(cases.count == 23)
    for (index, item) in cases.enumerated() {
      let tokens = try tokens()
      let loss: Tensor
      if item["trainer"]?.string == "rloo" {
        var policy = LeaveOneOutPolicy()
        policy.epsilonHigh = item["settings"]?["epsilon_high"]?.double
        loss = try policy.each(tokens).losses.mean()
      } else {
        let policy = GroupRelativePolicy(try settings(item["settings"]))
        let sum = try policy.sum(try policy.parts(tokens).loss, tokens)
        let divisor =
          switch policy.settings.loss {
          case .grpo, .drGRPO: tokens.counts.count
          case .bnpo: 1
          case .dapo, .cispo: tokens.counts.reduce(0, +)
          }
        loss = try sum / Double(divisor)
      }
      try loss.backward()
      let expected = try #require(item["loss"]?.double)
      #expect(abs(try loss.item() - expected) <= 1e-6 * max(1, abs(expected)), "case \(index): \(item["settings"]?.text() ?? "")")
      let gradient = try #require(try tokens.logProbs.gradient()).array(Float.self)
      let difference = zip(gradient, numbers(item["gradient"])).map { abs($0 - $1) }.max() ?? 1
      #expect(difference <= 1e-5 && gradient.count == tokens.logProbs.count, "case \(index): \(difference)")
    }
  }

  /// Two answers of 2 and 1 tokens, ratios e^0.5, 1, e^−0.5; advantages 1 and −2; ε 0.2, β 0.
  private func small() throws -> PolicyTokens {
    try PolicyTokens(
      logProbs: try Tensor([-1, -2, -1.5] as [Float]), oldLogProbs: try Tensor([-1.5, -2, -1] as [Float]),
      advantages: try Tensor([1, 1, -2] as [Float]), counts: [2, 1])
  }

  @Test func lossesByHand() throws {
    func sum(_ loss: PolicySettings.Loss, _ change: (inout PolicySettings) -> Void = { _ in }) throws -> Double {
      var settings = PolicySettings()
      (settings.loss, settings.maxCompletionLength) = (loss, 10)
      change(&settings)
      let policy = GroupRelativePolicy(settings)
      return try policy.sum(try policy.parts(small()).loss, small()).item()
    }
    // Tokens: −min(e^0.5, 1.2)·1 = −1.2; −1; −min(−2·e^−0.5, −2·0.8) = 1.6.
    #expect(abs(try sum(.dapo) - (-1.2 - 1 + 1.6)) < 1e-6)
    #expect(abs(try sum(.grpo) - (-1.1 + 1.6)) < 1e-6)
    #expect(abs(try sum(.bnpo) - (-0.2)) < 1e-6)
    #expect(abs(try sum(.drGRPO) - (-0.06)) < 1e-6)
    // Ratios bounded at 1.3: −1.3·1·(−1), −1·1·(−2), −e^−0.5·(−2)·(−1.5).
    let low = 0.6065306597126334
    #expect(abs(try sum(.cispo) { $0.epsilonHigh = 1.3 } - (1.3 + 2 - 3 * low)) < 1e-6)
    // Of answers: e^0.25 above 1.2, e^−0.5 below 0.8.
    #expect(abs(try sum(.grpo) { $0.level = .sequence } - (-1.2 + 1.6)) < 1e-6)
  }

  @Test func wholeAnswersByHand() throws {
    // e^0.5 above 1.2: −1.2; e^−0.5 below 0.8: 1.6.
    let losses = try LeaveOneOutPolicy().each(small()).losses.array(Float.self)
    #expect(zip(losses, [-1.2, 1.6]).allSatisfy { abs(Double($0) - $1) < 1e-6 })
  }

  @Test func divergenceByHand() throws {
    let tokens = try PolicyTokens(
      logProbs: try Tensor([-1] as [Float]), references: try Tensor([-2] as [Float]), advantages: try Tensor([0] as [Float]),
      counts: [1])
    // d = −1 − (−2) = 1: e^−1 + 1 − 1.
    #expect(abs(try #require(try tokens.divergence()).item() - 0.36787944117144233) < 1e-6)
    var settings = PolicySettings()
    settings.beta = 0.5
    let policy = GroupRelativePolicy(settings)
    #expect(abs(try policy.parts(tokens).loss.item() - 0.18393972058572117) < 1e-6)
  }

  /// PPO, whose reference implementation is gone: one calculation by hand, value by value, with its gradients.
  @Test func proximalByHand() throws {
    let head = try ValueHead(features: 2)
    let policy = ValuedPolicy(head: head)
    let tokens = try small()
    let (losses, ratio) = try policy.policyLosses(tokens)
    // max(−w·A, −clip(w, 0.8, 1.2)·A) as above.
    #expect(zip(try losses.array(Float.self), [-1.2, -1, 1.6]).allSatisfy { abs(Double($0) - $1) < 1e-6 })
    #expect(abs(Double(try ratio.array(Float.self)[0]) - 1.6487212707001282) < 1e-6)
    // Values now, before, returns: (1, 0.9, 2): ½(1−2)² = 0.5. (1.5, 1, 0): clipped to 1.2, ½·max(2.25, 1.44) = 1.125.
    // (0, 1, 1): clipped to 0.8, ½·max(1, 0.04) = 0.5. (2, 1, 3): clipped to 1.2, ½·max(1, 3.24) = 1.62.
    let now = try Tensor([1, 1.5, 0, 2] as [Float])
    try now.setRequiresGradient(true)
    let values = ValuedPolicy.Values(
      now: now, before: try Tensor([0.9, 1, 1, 1] as [Float]), returns: try Tensor([2, 0, 1, 3] as [Float]))
    let value = try policy.valueLosses(values)
    #expect(zip(try value.array(Float.self), [0.5, 1.125, 0.5, 1.62]).allSatisfy { abs(Double($0) - $1) < 1e-6 })
    try value.sum().backward()
    // v − R where the free one counts; nothing where the clipped one does.
    let gradient = try #require(try now.gradient()).array(Float.self)
    #expect(zip(gradient, [-1, 1.5, -1, 0]).allSatisfy { abs($0 - $1) < 1e-6 })
  }

  /// The whole objective over a batch: the sum of both losses, over what the model says.
  @Test func proximalOverABatch() throws {
    let model = try TinyModels.load("llama-tied")
    let head = try ValueHead(features: model.shape.hiddenSize, device: model.device)
    try withoutGradients { try head.bias.fillInPlace(0.25) }
    var sample = EncodedSample(
      ids: [5, 6, 7, 8], trained: [false, false, true, true], location: SourceLocation(file: "x", line: 1), index: 0)
    let plain = try PolicyMeasurement(Batch([0], of: [sample]), model: model, temperature: 1, head: head)
    #expect(plain.values == [[0.25, 0.25]] && plain.logProbs[0].count == 2)
    sample.experience = Experience(
      advantages: [1, -1], oldLogProbs: plain.logProbs[0], oldValues: [0.25, 0.25], returns: [1.25, 0.25])
    var settings = ProximalSettings()
    settings.temperature = 1
    let objective = ValuedPolicy(settings, head: head)
    let result = try objective.evaluate(Batch([0], of: [sample]), model: model)
    // Ratios are 1: −1 + 1; values: ½·1 + 0, by 0.1.
    #expect(abs(try result.loss.item() - 0.05) < 1e-5)
    #expect(result.figures.values?["loss/value"] == 0.25)
    #expect(objective.count(Batch([0], of: [sample])) == 2)
  }

  @Test func experienceOfAnotherLengthIsRefused() throws {
    let model = try TinyModels.load("llama-tied")
    var sample = EncodedSample(
      ids: [5, 6, 7], trained: [false, true, true], location: SourceLocation(file: "x", line: 1), index: 0)
    sample.experience = Experience(advantages: [1])
    #expect(throws: TorchError.self) { try GroupRelativePolicy().evaluate(Batch([0], of: [sample]), model: model) }
  }

  @Test func answersThatAreNotLearntFromGiveNothing() throws {
    let model = try TinyModels.load("llama-tied")
    let sample = EncodedSample(
      ids: [5, 6, 7], trained: [false, false, false], location: SourceLocation(file: "x", line: 1), index: 0)
    let batch = Batch([0], of: [sample])
    #expect(try GroupRelativePolicy().lossSum(batch, model: model).item() == 0)
    #expect(try LeaveOneOutPolicy().lossSum(batch, model: model).item() == 0)
  }
}
