import Foundation
import NN
import Torch

extension Tensor {
  /// Numbers without chance: the fractional parts of multiples of the golden ratio, spread evenly over −scale … scale.
  ///
  /// - Parameters:
  ///   - shape: the size of each dimension.
  ///   - seed: tensors of different seeds have different numbers.
  ///   - scale: the largest magnitude.
  ///   - offset: added to each number.
  ///   - dtype: the element type, rounded to from float64.
  public static func pattern(
    _ shape: [Int], seed: Int = 0, scale: Double = 1, offset: Double = 0, dtype: DType = .float32
  ) throws(TorchError) -> Tensor {
    let start = Double(seed) * 0.754877666246693
    let values = (0..<shape.reduce(1, *)).map { index -> Double in
      let turn = start + Double(index + 1) * 0.618033988749895
      return offset + scale * (2 * (turn - turn.rounded(.down)) - 1)
    }
    return try Tensor(values, shape: shape).to(dtype)
  }
}

/// Gives every parameter of `model` numbers that depend on its path and shape alone, so that a test's expectations hold on every
/// machine: gains of norms near 1, all else within ±`scale`.
public func fill(_ model: Module, scale: Double = 0.2) throws(TorchError) {
  for (path, slot, value) in model.parameters() {
    let isGain = value.rank == 1 && slot.key == "weight"
    let numbers = try Tensor.pattern(value.shape, seed: seed(of: path), scale: scale, offset: isGain ? 1 : 0, dtype: value.dtype)
    try withoutGradients { () throws(TorchError) in try value.copyInPlace(numbers) }
  }
}

/// A small number for a path, the same on every machine (32-bit FNV-1a, folded).
private func seed(of path: String) -> Int {
  Int(path.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 } % 65_521)
}
