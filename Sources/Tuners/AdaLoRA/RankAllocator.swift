import NN
import OrderedCollections
import Torch

/// Shares out AdaLoRA's ranks in the course of training.
///
/// Each step notes how much each number matters: I = |w·g|, its decaying mean Ī, and the decaying mean Ū of |I − Ī|. A triplet's score
/// is Ī·Ū of its number of E, plus the means of Ī·Ū over its row of A and its column of B. The budget falls with the third power of the
/// time that is left, and the triplets with the lowest scores beyond it have their E set to 0.
final class RankAllocator: TrainingCompanion {
  /// One number's importance, for all numbers of a parameter.
  private struct Importance {
    let mean: Tensor
    let uncertainty: Tensor
  }

  private let settings: AdaLoRAConfiguration
  private let deltas: [(path: String, delta: AdaLoRADelta, importance: [Importance])]
  /// Steps in all.
  private(set) var totalSteps: Int
  /// Which triplets are left, by path; nil before any was taken away.
  private(set) var kept: OrderedDictionary<String, [Bool]>?

  init(_ settings: AdaLoRAConfiguration, _ deltas: [(path: String, delta: AdaLoRADelta)]) throws(TorchError) {
    (self.settings, totalSteps) = (settings, settings.totalSteps ?? 1)
    var made: [(path: String, delta: AdaLoRADelta, importance: [Importance])] = []
    for (path, delta) in deltas {
      var importance: [Importance] = []
      for tensor in [delta.e, delta.a, delta.b] {
        importance.append(
          Importance(
            mean: try .zeros(tensor.shape, device: tensor.device), uncertainty: try .zeros(tensor.shape, device: tensor.device)))
      }
      made.append((path, delta, importance))
    }
    self.deltas = made
  }

  /// The last step that takes triplets away.
  private var lastStep: Int { totalSteps - settings.finalSteps }

  func begin(totalSteps: Int) throws {
    self.totalSteps = settings.totalSteps ?? totalSteps
    guard settings.initialSteps < lastStep else {
      throw TunerError(
        "tinit \(settings.initialSteps) and tfinal \(settings.finalSteps) leave none of \(self.totalSteps) steps to share out ranks in"
      )
    }
  }

  /// The mean over all A and B of ‖A·Aᵀ − 1‖ and ‖Bᵀ·B − 1‖, times its weight. Those of one shape are taken together.
  func penalty() throws -> Tensor? {
    guard settings.orthogonality > 0 else { return nil }
    var groups: OrderedDictionary<[Int], [Tensor]> = [:]
    for (_, delta, _) in deltas {
      for matrix in [delta.a, try delta.b.transposed()] { groups[matrix.shape, default: []].append(matrix) }
    }
    var sum: Tensor?
    for (shape, matrices) in groups {
      let all = try Tensor.concatenated(matrices, 0).reshaped([matrices.count] + shape)
      let squares = try all.matmul(try all.transposed())
      let places = try Tensor.arange(to: Double(shape[0]), device: all.device)
      let identity = try (places.unsqueezed(1) .== places).to(.float32)
      let distances = try (squares - identity).reshaped(matrices.count, -1).norm(1).sum()
      sum = try sum.map { try $0 + distances } ?? distances
    }
    return try sum.map { try $0 * (settings.orthogonality / Double(2 * deltas.count)) }
  }

  func stepped(_ step: Int, gradientScale: Double) throws {
    try withoutGradients {
      if step < lastStep { try note(gradientScale) }
      if step > lastStep { return try maskAgain() }
      guard step > settings.initialSteps, step == lastStep || step % settings.interval == 0 else { return }
      try mask(to: budget(step))
    }
  }

  /// How many triplets there are to be after a step.
  func budget(_ step: Int) -> Int {
    let (all, target) = (settings.initialRank * deltas.count, settings.targetRank * deltas.count)
    let left = 1 - Double(step - settings.initialSteps) / Double(lastStep - settings.initialSteps)
    return Int(Double(all - target) * left * left * left + Double(target))
  }

  private func note(_ gradientScale: Double) throws(TorchError) {
    for (_, delta, importance) in deltas {
      for (tensor, importance) in zip([delta.e, delta.a, delta.b], importance) {
        guard let gradient = try tensor.gradient() else { continue }
        let now = try (tensor * gradient).abs() * gradientScale
        try importance.mean.scaleInPlace(settings.beta1)
        try importance.mean.addInPlace(now, scale: 1 - settings.beta1)
        try importance.uncertainty.scaleInPlace(settings.beta2)
        try importance.uncertainty.addInPlace(try (now - importance.mean).abs(), scale: 1 - settings.beta2)
      }
    }
  }

  /// Takes away the triplets with the lowest scores, so that `budget` are left.
  private func mask(to budget: Int) throws {
    var scores: [[Float]] = []
    for (_, _, importance) in deltas {
      let parts = try importance.map { try $0.mean * $0.uncertainty }
      scores.append(try (parts[0].reshaped(-1) + parts[1].mean(1) + parts[2].mean(0)).array(Float.self))
    }
    let all = scores.flatMap(\.self).sorted()
    let threshold = all.count > budget ? all[all.count - budget - 1] : -.infinity
    var kept: OrderedDictionary<String, [Bool]> = [:]
    for ((path, _, _), scores) in zip(deltas, scores) { kept[path] = scores.map { $0 > threshold } }
    self.kept = kept
    try maskAgain()
  }

  /// Sets E to 0 for what was taken away, and says so to what is saved.
  private func maskAgain() throws {
    guard let kept else { return }
    for (path, delta, _) in deltas {
      guard let flags = kept[path] else { continue }
      delta.kept = flags
      let mask = try Tensor(flags.map { $0 ? Float(1) : 0 }, shape: [flags.count, 1]).to(delta.e.device)
      try delta.e.copyInPlace(try delta.e * mask)
    }
  }

  /// Importance, what is left, and all triplets: those that were taken away learn on, and can come back until the last sharing out.
  var state: [SavedTensor] {
    deltas.flatMap { path, delta, importance in
      var tensors = [kept(path, delta)]
      for ((name, tensor), importance) in zip([("lora_E", delta.e), ("lora_A", delta.a), ("lora_B", delta.b)], importance) {
        tensors += [
          SavedTensor("\(path).\(name)", tensor), SavedTensor("\(path).\(name).mean", importance.mean),
          SavedTensor("\(path).\(name).uncertainty", importance.uncertainty),
        ]
      }
      return tensors
    }
  }

  /// Which triplets of a projection are left, as 1 and 0.
  private func kept(_ path: String, _ delta: AdaLoRADelta) -> SavedTensor {
    let rank = delta.e.shape[0]
    return SavedTensor(
      "\(path).kept", shape: [rank],
      value: { () throws(TorchError) in
        try Tensor((delta.kept ?? Array(repeating: true, count: rank)).map { $0 ? Float(1) : 0 }, shape: [rank])
      },
      restore: { [self] source throws(TorchError) in
        let flags = try source.array(Float.self).map { $0 != 0 }
        delta.kept = flags
        kept = kept ?? [:]
        kept?[path] = flags
      })
  }
}
