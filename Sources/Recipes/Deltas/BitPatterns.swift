import Torch

/// Differences of tensors as integers: the bit patterns of the elements, subtracted and added modulo 2⁸, 2¹⁶, 2³² or 2⁶⁴.
///
/// Such a difference is exact for every element type and every value, infinities, NaN and signed zeros included, which a difference
/// of floating-point numbers is not: base + (tuned − base) rounds twice.
enum BitPatterns {
  /// The integer type as wide as `dtype`.
  static func integer(_ dtype: DType) -> DType {
    switch dtype.byteSize {
    case 1: .uint8
    case 2: .int16
    case 4: .int32
    default: .int64
    }
  }

  /// tuned − base, as integers of the elements' width. Both have one shape and one element type.
  static func difference(_ tuned: Tensor, _ base: Tensor) throws -> Tensor {
    try combine(tuned, base, as: integer(tuned.dtype), subtracting: true)
  }

  /// base + difference, with elements of the base's type.
  static func sum(_ base: Tensor, _ difference: Tensor) throws -> Tensor {
    try combine(base, difference, as: base.dtype, subtracting: false)
  }

  /// base + the integers `values` [k] at the flat places `indices` [k], which lie within it.
  static func sum(_ base: Tensor, at indices: [Int], _ values: Tensor) throws -> Tensor {
    let result = OwnedBytes(count: base.byteCount)
    try base.withUnsafeBytes { result.bytes.copyMemory(from: $0) }
    try values.withUnsafeBytes { values in
      switch base.dtype.byteSize {
      case 1: add(UInt8.self, values, at: indices, to: result.bytes)
      case 2: add(UInt16.self, values, at: indices, to: result.bytes)
      case 4: add(UInt32.self, values, at: indices, to: result.bytes)
      default: add(UInt64.self, values, at: indices, to: result.bytes)
      }
    }
    return try result.tensor(shape: base.shape, dtype: base.dtype)
  }

  private static func combine(_ first: Tensor, _ second: Tensor, as dtype: DType, subtracting: Bool) throws -> Tensor {
    let result = OwnedBytes(count: first.byteCount)
    try first.withUnsafeBytes { first in
      try second.withUnsafeBytes { second in
        switch dtype.byteSize {
        case 1: combine(UInt8.self, first, second, result.bytes, subtracting)
        case 2: combine(UInt16.self, first, second, result.bytes, subtracting)
        case 4: combine(UInt32.self, first, second, result.bytes, subtracting)
        default: combine(UInt64.self, first, second, result.bytes, subtracting)
        }
      }
    }
    return try result.tensor(shape: first.shape, dtype: dtype)
  }

  private static func combine<Word: FixedWidthInteger>(
    _: Word.Type, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, _ result: UnsafeMutableRawBufferPointer,
    _ subtracting: Bool
  ) {
    let (first, second) = (first.bindMemory(to: Word.self), second.bindMemory(to: Word.self))
    let result = result.bindMemory(to: Word.self)
    if subtracting {
      for index in result.indices { result[index] = first[index] &- second[index] }
    } else {
      for index in result.indices { result[index] = first[index] &+ second[index] }
    }
  }

  private static func add<Word: FixedWidthInteger>(
    _: Word.Type, _ values: UnsafeRawBufferPointer, at indices: [Int], to result: UnsafeMutableRawBufferPointer
  ) {
    let (values, result) = (values.bindMemory(to: Word.self), result.bindMemory(to: Word.self))
    for (place, index) in indices.enumerated() { result[index] = result[index] &+ values[place] }
  }
}

/// Memory that a tensor takes over without a copy.
final class OwnedBytes {
  let bytes: UnsafeMutableRawBufferPointer

  init(count: Int) { bytes = .allocate(byteCount: count, alignment: 64) }

  deinit { bytes.deallocate() }

  /// A tensor over them, which keeps them.
  func tensor(shape: [Int], dtype: DType) throws(TorchError) -> Tensor {
    guard bytes.count > 0 else { return try .empty(shape, dtype: dtype) }
    return try Tensor(mapping: UnsafeRawBufferPointer(bytes), shape: shape, dtype: dtype, owner: self)
  }
}
