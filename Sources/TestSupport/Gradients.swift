import Torch

/// The value of a function at some tensors, and the gradients that reach them.
public struct Differentiated {
  /// The function's value.
  public let value: Tensor
  /// One gradient for each input; nil where none arrived.
  public let gradients: [Tensor?]
}

/// Computes `body` on copies of `inputs` and sends `cotangent` back through it.
///
/// - Parameters:
///   - inputs: where the function is taken; those of integer type take no gradient.
///   - cotangent: the gradient fed into the value, of its shape; a fixed pattern where it is nil.
///   - body: the function.
public func differentiate(
  _ inputs: [Tensor], cotangent: Tensor? = nil, _ body: ([Tensor]) throws -> Tensor
) throws -> Differentiated {
  var leaves: [Tensor] = []
  for input in inputs {
    let leaf = try input.detached().clone()
    if leaf.dtype.isFloatingPoint { try leaf.setRequiresGradient(true) }
    leaves.append(leaf)
  }
  let value = try body(leaves)
  let fed = if let cotangent { cotangent } else { try Tensor.pattern(value.shape, seed: 97) }
  let weighted = try value * (try fed.to(value.dtype))
  try weighted.sum().backward()
  var gradients: [Tensor?] = []
  for leaf in leaves { gradients.append(try leaf.gradient()) }
  return Differentiated(value: try value.detached(), gradients: gradients)
}
