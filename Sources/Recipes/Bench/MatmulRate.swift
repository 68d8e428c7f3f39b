import Torch

/// How fast this machine multiplies large matrices: what a step's speed is measured against.
public enum MatmulRate {
  /// The sides of the square matrices: large enough that packing and starting threads cost nothing beside the product.
  private static let sides = [1024, 4096]
  /// Products of each side at most.
  private static let repeats = 6
  /// Seconds for each side, after which no further product is begun; a side of which one would take longer is left out.
  private static let patience = 2.0

  /// The best rate of libtorch's matrix product, or of the one that linear layers run on where that is faster, in operations a second; a
  /// product and its sum count two.
  public static func measure(_ dtype: DType, device: Device = .cpu) throws(TorchError) -> Double {
    let own = try measure(dtype, device: device) { (matrix) throws(TorchError) in try matrix.linear(matrix) }
    let general = try measure(dtype, device: device) { (matrix) throws(TorchError) in try matrix.matmul(matrix) }
    return max(own, general)
  }

  private static func measure(
    _ dtype: DType, device: Device, _ product: (Tensor) throws(TorchError) -> Tensor
  ) throws(TorchError) -> Double {
    var best = 0.0
    for side in sides {
      let operations = 2 * Double(side) * Double(side) * Double(side)
      if best > 0, operations / best > patience { break }
      let matrix = try random(side, dtype: dtype, device: device)
      var spent = 0.0
      for _ in 0..<repeats where spent < patience {
        let seconds = try seconds(matrix, product)
        best = max(best, operations / seconds)
        spent += seconds
      }
    }
    return best
  }

  private static func random(_ side: Int, dtype: DType, device: Device) throws(TorchError) -> Tensor {
    let matrix = try Tensor.empty([side, side], device: device)
    try matrix.normalInPlace()
    return try matrix.to(dtype)
  }

  private static func seconds(_ matrix: Tensor, _ product: (Tensor) throws(TorchError) -> Tensor) throws(TorchError) -> Double {
    try withoutGradients { () throws(TorchError) in
      let start = ContinuousClock.now
      let result = try product(matrix)
      // A GPU has finished when a number of the result is here.
      _ = try result.narrowed(0, 0..<1).narrowed(1, 0..<1).item()
      return (ContinuousClock.now - start) / .seconds(1)
    }
  }
}
