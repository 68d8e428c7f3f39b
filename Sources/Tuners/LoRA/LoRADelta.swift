import NN
import Torch

/// Low-rank adaptation of one projection: y = W·x + s·B·A·dropout(x). Hu et al., arXiv:2106.09685.
///
/// A [r, in] and B [out, r] are float32 whatever the base is; s = α/r, or α/√r.
public final class LoRADelta: Module, AdapterDelta {
  /// A [r, in].
  @Param("lora_A") public var a: Tensor
  /// B [out, r].
  @Param("lora_B") public var b: Tensor
  /// s.
  public let scale: Double
  /// Share of inputs dropped in training.
  public let dropout: Double

  /// A delta that changes nothing yet: B is 0.
  init(
    for base: any Projection, rank: Int, scale: Double, dropout: Double, initialization: LoRAConfiguration.Initialization,
    device: Device
  ) throws(TorchError) {
    self.scale = scale
    self.dropout = dropout
    super.init()
    a = try .empty([rank, base.inputSize], device: device)
    b = try .zeros([base.outputSize, rank], device: device)
    switch initialization {
    case .kaimingUniform:
      let bound = 1 / Double(base.inputSize).squareRoot()
      try a.uniformInPlace(-bound, bound)
    case .gaussian: try a.normalInPlace(standardDeviation: 1 / Double(rank))
    }
  }

  /// A and B, with the dropout only in training.
  public var lowRankUpdate: LowRankUpdate? {
    LowRankUpdate(a: a, b: b, scale: scale, dropout: isTraining ? dropout : 0)
  }

  /// The base's output plus s·B·A·dropout(x).
  public func forward(_ x: Tensor, through base: any Projection) throws(TorchError) -> Tensor {
    try base.forward(x, plus: LowRankUpdate(a: a, b: b, scale: scale, dropout: isTraining ? dropout : 0))
  }

  /// W + s·B·A, the sum in float32.
  public func merged(into base: any Projection) throws(TorchError) -> any Projection {
    let weight = try base.denseWeight()
    let delta = try b.matmul(a) * scale
    let sum = try weight.to(.float32) + delta.to(weight.device)
    let bias = try base.denseBias?.detached().to(weight.dtype)
    return try base.replacing(weight: try sum.detached().to(weight.dtype), bias: bias)
  }

  /// A and B under PEFT's names.
  public var trained: [(name: String, slot: ParameterSlot)] { [("lora_A.weight", $a), ("lora_B.weight", $b)] }
}
