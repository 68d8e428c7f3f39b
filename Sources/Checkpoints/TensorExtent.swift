/// Sizes of tensors that a file declares, computed without overflow.
enum TensorExtent {
  /// The most dimensions a tensor may have.
  static let rankLimit = 64

  /// The number of elements of `shape`.
  ///
  /// - Returns: nil where a size is negative, there are too many, or their product, zeros left out, does not fit: libtorch
  ///   computes strides from it even where a tensor is empty.
  static func elementCount(_ shape: [Int]) -> Int? {
    guard shape.count <= rankLimit, shape.allSatisfy({ $0 >= 0 }) else { return nil }
    var product = 1
    for size in shape where size > 0 {
      let (next, overflows) = product.multipliedReportingOverflow(by: size)
      if overflows { return nil }
      product = next
    }
    return shape.contains(0) ? 0 : product
  }

  /// The bytes of `count` elements of `size` bytes; nil where they do not fit.
  static func byteCount(_ count: Int, size: Int) -> Int? {
    let (bytes, overflows) = count.multipliedReportingOverflow(by: size)
    return overflows ? nil : bytes
  }
}
