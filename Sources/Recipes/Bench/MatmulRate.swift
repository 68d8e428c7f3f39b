import Torch

/// How fast this machine multiplies large matrices: what a step's speed is measured against.
public enum MatmulRate {
  /// The sides of the square matrices: large enough that packing and starting threads cost nothing beside the product.
  private static let sides = [1024, 4096]
  /// Products of each side.
  private static let repeats = 5
  /// A side is left out where one product of it would take longer than this, in seconds.
  private static let patience = 3.0

  /// The best rate of libtorch's matrix product, in operations a second; a product and its sum count two.
  public static func measure(_ dtype: DType, device: Device = .cpu) throws(TorchError) -> Double {
    var best = 0.0
    for side in sides {
      let operations = 2 * Double(side) * Double(side) * Double(side)
      if best > 0, operations / best > patience { break }
      let matrix = try random(side, dtype: dtype, device: device)
      for _ in 0...repeats { best = max(best, operations / (try seconds(matrix))) }
    }
    return best
  }

  private static func random(_ side: Int, dtype: DType, device: Device) throws(TorchError) -> Tensor {
    let matrix = try Tensor.empty([side, side], device: device)
    try matrix.normalInPlace()
    return try matrix.to(dtype)
  }

  private static func seconds(_ matrix: Tensor) throws(TorchError) -> Double {
    try withoutGradients { () throws(TorchError) in
      let start = ContinuousClock.now
      let product = try matrix.matmul(matrix)
      // A GPU has finished when a number of the result is here.
      _ = try product.narrowed(0, 0..<1).narrowed(1, 0..<1).item()
      return (ContinuousClock.now - start) / .seconds(1)
    }
  }
}
