import NN
import Torch

/// Low-rank adaptation of one projection: y = W·x + s·B·A·dropout(x). Hu et al., arXiv:2106.09685.
///
/// A [r, in] and B [out, r] are float32 whatever the base is; s = α/r, or α/√r. Where the two start from the weight itself, what they
/// start with stays beside them and is taken off: y = W·x + s·(B·A − B₀·A₀)·dropout(x), a low-rank update of twice the rank.
public final class LoRADelta: Module, AdapterDelta {
  /// A [r, in].
  @Param("lora_A") public var a: Tensor
  /// B [out, r].
  @Param("lora_B") public var b: Tensor
  /// s.
  public let scale: Double
  /// Share of inputs dropped in training.
  public let dropout: Double
  /// A₀ and −B₀, where A and B start from the weight.
  private let start: (a: Tensor, minusB: Tensor)?
  private let freezesA: Bool

  /// A delta that changes nothing yet.
  init(for base: any Projection, at path: String, _ settings: LoRAConfiguration, device: Device) throws {
    let rank = try settings.rank(path)
    (scale, dropout, freezesA) = (try settings.scale(path), settings.dropout, settings.freezesA)
    let factors = try LoRADelta.factors(base, rank: rank, scale: scale, settings.initialization, device: device)
    start = settings.initialization.isFromWeight ? (try factors.a.clone(), try -factors.b) : nil
    super.init()
    (a, b) = factors
  }

  private static func factors(
    _ base: any Projection, rank: Int, scale: Double, _ initialization: LoRAConfiguration.Initialization, device: Device
  ) throws -> (a: Tensor, b: Tensor) {
    if initialization.isFromWeight {
      guard rank <= min(base.inputSize, base.outputSize) else {
        throw TunerError("r is \(rank), more than the \(min(base.inputSize, base.outputSize)) that a weight to start from has")
      }
      let weight = try base.denseWeight().detached().to(.float32)
      return initialization == .pissa
        ? try weight.principalFactors(rank, scale: scale) : try weight.orthonormalFactors(rank)
    }
    let a = try Tensor.empty([rank, base.inputSize], device: device)
    if initialization == .gaussian {
      try a.normalInPlace(standardDeviation: 1 / Double(rank))
    } else {
      let bound = 1 / Double(base.inputSize).squareRoot()
      try a.uniformInPlace(-bound, bound)
    }
    return (a, try .zeros([base.outputSize, rank], device: device))
  }

  /// A and B with what they started with, and the dropout only in training.
  func update() throws(TorchError) -> LowRankUpdate {
    let dropout = isTraining ? dropout : 0
    guard let start else { return LowRankUpdate(a: a, b: b, scale: scale, dropout: dropout) }
    return LowRankUpdate(
      a: try .concatenated([a, start.a], 0), b: try .concatenated([b, start.minusB], 1), scale: scale, dropout: dropout)
  }

  /// What it adds to the weight.
  public func lowRankUpdate() throws(TorchError) -> LowRankUpdate? { try update() }

  /// The base's output plus s·B·A·dropout(x).
  public func forward(_ x: Tensor, through base: any Projection) throws(TorchError) -> Tensor {
    try base.forward(x, plus: try update())
  }

  /// W + s·B·A in float32 [out, in].
  func changedWeight(of base: any Projection) throws(TorchError) -> Tensor {
    let weight = try base.denseWeight()
    let update = try update()
    return try weight.to(.float32) + (try update.b.matmul(update.a) * scale).to(weight.device)
  }

  /// W + s·B·A, the sum in float32.
  public func merged(into base: any Projection) throws(TorchError) -> any Projection {
    let dtype = try base.denseWeight().dtype
    let sum = try changedWeight(of: base)
    let bias = try base.denseBias?.detached().to(dtype)
    return try base.replacing(weight: try sum.detached().to(dtype), bias: bias)
  }

  /// A, unless it stays as it is, and B.
  public var trained: [(name: String, slot: ParameterSlot)] {
    (freezesA ? [] : [("lora_A.weight", $a)]) + [("lora_B.weight", $b)]
  }

  /// A and B under PEFT's names; with what they started with below them, so that they are a plain LoRA of twice the rank.
  public var saved: [SavedTensor] {
    guard let start else { return [SavedTensor("lora_A.weight", a), SavedTensor("lora_B.weight", b)] }
    let (a, b, rank) = (a, b, a.shape[0])
    return [
      SavedTensor(
        "lora_A.weight", shape: [2 * rank, a.shape[1]], value: { () throws(TorchError) in try .concatenated([a, start.a], 0) },
        restore: { source throws(TorchError) in
          try a.copyInPlace(try source.narrowed(0, 0..<rank))
          try start.a.copyInPlace(try source.narrowed(0, rank..<2 * rank))
        }),
      SavedTensor(
        "lora_B.weight", shape: [b.shape[0], 2 * rank],
        value: { () throws(TorchError) in try .concatenated([b, start.minusB], 1) },
        restore: { source throws(TorchError) in
          try b.copyInPlace(try source.narrowed(1, 0..<rank))
          try start.minusB.copyInPlace(try source.narrowed(1, rank..<2 * rank))
        }),
    ]
  }
}

extension Tensor {
  /// √S·Vᵀ and U·√S of the r largest singular values, divided by the scale, of this matrix [out, in].
  fileprivate func principalFactors(_ rank: Int, scale: Double) throws(TorchError) -> (a: Tensor, b: Tensor) {
    let (u, s, vh) = try singularValues()
    let roots = try (try s.narrowed(0, 0..<rank) / scale).sqrt()
    return (
      try (vh.narrowed(0, 0..<rank) * roots.unsqueezed(1)).contiguous(), try (u.narrowed(1, 0..<rank) * roots).contiguous()
    )
  }

  /// R and Q of the first r columns of this matrix [out, in]: Q orthonormal, R = Qᵀ·W.
  fileprivate func orthonormalFactors(_ rank: Int) throws(TorchError) -> (a: Tensor, b: Tensor) {
    var columns: [Tensor] = []
    for index in 0..<rank {
      var column = try narrowed(1, index..<index + 1)
      // Twice, since one pass leaves rounding errors that grow with the length of what is taken off.
      for _ in 0..<2 where !columns.isEmpty {
        let basis = try Tensor.concatenated(columns, 1)
        column = try column - basis.matmul(try basis.transposed().matmul(column))
      }
      columns.append(try column / column.norm())
    }
    let q = try Tensor.concatenated(columns, 1)
    return (try q.transposed().matmul(self), q)
  }
}
