import CTorch

/// Where a tensor lives and is computed on.
public enum Device: Sendable, Hashable, CustomStringConvertible {
  case cpu
  case cuda(Int)
  /// Nowhere: shape and element type alone, as libtorch's meta device has them. What is read from there are zeros.
  case meta

  /// `cpu` or `cuda:0`, as libtorch writes it.
  public var description: String {
    switch self {
    case .cpu: "cpu"
    case .cuda(let index): "cuda:\(index)"
    case .meta: "meta"
    }
  }

  var raw: ct_device {
    switch self {
    case .cpu: ct_device(kind: CT_CPU, index: 0)
    case .cuda(let index): ct_device(kind: CT_CUDA, index: Int32(clamping: index))
    case .meta: ct_device(kind: CT_META, index: 0)
    }
  }

  init(raw: ct_device) {
    self = raw.kind == CT_CUDA ? .cuda(Int(raw.index)) : raw.kind == CT_META ? .meta : .cpu
  }
}
