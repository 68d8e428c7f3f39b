import Torch

/// The non-linear functions that `hidden_act` and `activation_function` of a config.json name.
public enum Activation: String, Sendable, Hashable, CaseIterable {
  case gelu
  case geluNew = "gelu_new"
  case geluTanh = "gelu_pytorch_tanh"
  case geluFast = "gelu_fast"
  case quickGELU = "quick_gelu"
  case relu
  case silu
  case swish
  case tanh

  /// The function, element by element.
  public func callAsFunction(_ x: Tensor) throws(TorchError) -> Tensor {
    switch self {
    case .gelu: try x.gelu()
    case .geluNew, .geluTanh, .geluFast: try x.geluTanh()
    case .quickGELU: try x * (try x * 1.702).sigmoid()
    case .relu: try x.relu()
    case .silu, .swish: try x.silu()
    case .tanh: try x.tanh()
    }
  }

  /// act(gate)·up, in one pass where there is a kernel for it.
  public func gate(_ gate: Tensor, _ up: Tensor) throws(TorchError) -> Tensor {
    switch self {
    case .silu, .swish: return try gate.swiglu(up)
    default:
      let activated = try self(gate)
      return try activated * up
    }
  }
}
