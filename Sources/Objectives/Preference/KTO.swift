import Datasets
import NN
import Torch

/// Kahneman-Tversky optimization: answers that are called good get likelier and bad ones less likely, each for itself, measured from a
/// point that moves along with the model. Ethayarajh et al., arXiv:2402.01306.
///
/// With Δ = ln p − ln p of the reference, β > 0, and z₀ = max(0, mean Δ of answers to other prompts than their own), without a gradient,
/// the loss of an answer is
///
///     good: λ_D·(1 − σ(β(Δ − z₀)))        bad: λ_U·(1 − σ(β(z₀ − Δ)))
public struct KTO: Objective, Sendable {
  /// What is made of Δ, under TRL's names.
  public enum Loss: String, Sendable, Hashable, CaseIterable {
    /// From z₀.
    case kto
    /// From 0. D'Oosterlinck et al., arXiv:2408.06266.
    case apoZeroUnpaired = "apo_zero_unpaired"
  }

  /// How strongly the model is held to the reference, above 0.
  public var beta = 0.1
  /// λ_D, how strongly good answers count.
  public var desirableWeight = 1.0
  /// λ_U, how strongly bad answers count.
  public var undesirableWeight = 1.0
  /// What is made of Δ.
  public var loss = Loss.kto

  /// TRL's defaults.
  public init() {}

  /// `kto`.
  public var name: String { "kto" }
  /// Answers with a label.
  public var learnsFrom: LearningMaterial { .labelled }
  /// Yes.
  public var needsReference: Bool { true }
  /// No: what differs between model and reference is to be what was learnt.
  public var usesDropout: Bool { false }
  /// 1/20: a preference is learnt in small steps.
  public var rateScale: Double { 0.05 }

  /// Each answer with the prompt that another one of its batch has, where z₀ is needed. Pairs are taken apart: all better answers, and
  /// after them all worse ones, as TRL does.
  public func prepared(_ samples: [EncodedSample], batchSize: Int, limit: Int) -> [EncodedSample] {
    let single = samples.contains { $0.rank > 0 } ? samples.takenApart : samples
    return loss == .kto ? MismatchedAnswers.beside(single, batchSize: batchSize, limit: limit) : single
  }

  /// Answers.
  public func count(_ batch: Batch) -> Int { batch.ranks.count { $0 == 0 } }

  /// The sum of the losses over the answers.
  public func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum {
    let answers = batch.segments(batch.ranks.indices.filter { batch.ranks[$0] == 0 })
    let others = batch.ranks.indices.filter { batch.ranks[$0] > 0 }
    let logProbs = try Tensor.stacked(try SequenceLogProbs(answers, model: model).sums)
    let isGood = answers.grades.map { ($0 ?? 0) > 0 }
    let ratios = try logProbs - Tensor(answers.references.map { Float($0 ?? 0) }).to(model.device)
    let start = others.isEmpty ? 0 : try startingPoint(batch.segments(others), model: model)
    var figures = try self.figures(ratios.detached(), logProbs.detached(), isGood)
    if loss == .kto { figures.add("kl", [start]) }
    return ObjectiveSum(try losses(ratios, isGood, from: start).sum(), figures)
  }

  /// z₀ of answers to prompts that are not theirs.
  private func startingPoint(_ batch: Batch, model: any CausalLM) throws -> Double {
    let logProbs = try withoutGradients { () throws in try SequenceLogProbs(batch, model: model).values() }
    let ratios = zip(logProbs, batch.references).map { $0 - ($1 ?? 0) }
    return max(0, ratios.reduce(0, +) / Double(max(1, ratios.count)))
  }

  /// The loss of each answer [N], of ratios Δ [N].
  func losses(_ ratios: Tensor, _ isGood: [Bool], from start: Double) throws(TorchError) -> Tensor {
    func numbers(_ good: Double, _ bad: Double) throws(TorchError) -> Tensor {
      try Tensor(isGood.map { Float($0 ? good : bad) }).to(ratios.device)
    }
    let distance = try (ratios - start) * numbers(beta, -beta)
    return try (-(distance.sigmoid()) + 1) * numbers(desirableWeight, undesirableWeight)
  }

  private func figures(_ ratios: Tensor, _ logProbs: Tensor, _ isGood: [Bool]) throws(TorchError) -> Figures {
    let rewards = try ratios.array(Float.self).map { beta * Double($0) }
    let sums = try logProbs.array(Float.self).map(Double.init)
    var figures = Figures()
    var means: [Double] = []
    for (kind, wanted) in [("chosen", true), ("rejected", false)] {
      let chosen = isGood.indices.filter { isGood[$0] == wanted }
      guard !chosen.isEmpty else { continue }
      figures.add("rewards/\(kind)", chosen.map { rewards[$0] })
      figures.add("logps/\(kind)", chosen.map { sums[$0] })
      means.append(chosen.reduce(0) { $0 + rewards[$1] } / Double(chosen.count))
    }
    if means.count == 2 { figures.add("rewards/margins", [means[0] - means[1]]) }
    return figures
  }
}

/// Answers to prompts that are not theirs, by which it is measured how far a model is from its reference.
enum MismatchedAnswers {
  /// Each sample followed by its prompt with the answer of the sample before it, and the first of so many by that of the last, as TRL
  /// has it. What is longer than `limit` is cut.
  static func beside(_ samples: [EncodedSample], batchSize: Int, limit: Int) -> [EncodedSample] {
    let size = max(2, batchSize)
    var starts = Array(stride(from: 0, to: samples.count, by: size))
    // One that is left over would be beside itself.
    if starts.count > 1, samples.count - (starts.last ?? 0) == 1 { starts.removeLast() }
    var all: [EncodedSample] = []
    for (start, end) in zip(starts, starts.dropFirst() + [samples.count]) {
      for place in start..<end {
        let other = samples[place == start ? end - 1 : place - 1]
        all += [samples[place], samples[place].mismatched(with: other, limit: limit)]
      }
    }
    return all
  }
}

extension [EncodedSample] {
  /// Pairs as good answers followed by bad ones.
  fileprivate var takenApart: [EncodedSample] {
    [0, 1].flatMap { rank in
      filter { $0.rank == rank }.map { sample in
        var one = sample
        (one.rank, one.grade) = (0, rank == 0 ? 1 : 0)
        return one
      }
    }
  }
}

extension EncodedSample {
  /// Its prompt with another one's answer, as a sample of the next rank.
  fileprivate func mismatched(with other: EncodedSample, limit: Int) -> EncodedSample {
    let border = trained.firstIndex(of: true) ?? ids.count
    let answer = other.trained.firstIndex(of: true) ?? other.ids.count
    var sample = self
    sample.ids = Array((ids[..<border] + other.ids[answer...]).prefix(limit))
    sample.trained = Array((trained[..<border] + other.trained[answer...]).prefix(limit))
    sample.rank = rank + 1
    sample.grade = nil
    return sample
  }
}
