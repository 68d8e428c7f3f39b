import CTorch

/// An array of numbers of one element type, on one device.
///
/// A `Tensor` is a reference to libtorch's tensor: copying the struct shares the numbers. Operations return new tensors and
/// leave their operands alone; what works in place says so in its name. Not `Sendable`: a tensor stays where it was made.
public struct Tensor {
  /// Owns one handle of the shim.
  final class Storage {
    let raw: ct_tensor
    init(_ raw: ct_tensor) { self.raw = raw }
    deinit { ct_tensor_free(raw) }
  }

  let storage: Storage

  /// Takes over a handle that the shim handed out.
  init(owning raw: ct_tensor) { storage = Storage(raw) }
}

// MARK: - Calls into the shim

extension Tensor {
  /// Makes a tensor by a call of the shim. The operands stay alive until it returns.
  ///
  /// Operands are parameters, not a list: an array for each operation would cost as much as a small operation.
  static func make(
    _ operation: StaticString, _ a: Tensor? = nil, _ b: Tensor? = nil, _ c: Tensor? = nil, _ d: Tensor? = nil,
    call: (UnsafeMutablePointer<ct_tensor>) -> ct_status
  ) throws(TorchError) -> Tensor {
    var out = ct_tensor()
    let status = withExtendedLifetime((a, b, c, d)) { call(&out) }
    guard status == CT_OK else { throw TorchError(status, operation: operation, operands: [a, b, c, d].compactMap(\.self)) }
    return Tensor(owning: out)
  }

  /// The same for a list of operands.
  static func make(
    _ operation: StaticString, list operands: [Tensor], call: (UnsafeMutablePointer<ct_tensor>) -> ct_status
  ) throws(TorchError) -> Tensor {
    var out = ct_tensor()
    let status = withExtendedLifetime(operands) { call(&out) }
    guard status == CT_OK else { throw TorchError(status, operation: operation, operands: operands) }
    return Tensor(owning: out)
  }

  /// A call of the shim that makes no tensor.
  static func run(
    _ operation: StaticString, _ a: Tensor? = nil, _ b: Tensor? = nil, _ c: Tensor? = nil, _ d: Tensor? = nil,
    call: () -> ct_status
  ) throws(TorchError) {
    let status = withExtendedLifetime((a, b, c, d)) { call() }
    guard status == CT_OK else { throw TorchError(status, operation: operation, operands: [a, b, c, d].compactMap(\.self)) }
  }

  /// The handle, for the length of a call made through `make` or `run` with this tensor among the operands.
  var raw: ct_tensor { storage.raw }
}

// MARK: - Making

extension Tensor {
  /// A tensor with its own copy of `bytes`, in row-major order.
  ///
  /// - Throws: ``TorchError`` where the bytes do not fill the shape exactly.
  public init(copying bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType) throws(TorchError) {
    self = try Tensor.make("copy") {
      ct_tensor_copy(bytes.baseAddress, Int64(bytes.count), shape.int64, Int64(shape.count), dtype.raw, $0)
    }
  }

  /// A tensor over memory that `owner` keeps valid; `owner` is released when the last tensor over the memory goes.
  ///
  /// The memory may be read-only (a mapped file): nothing may then write into the tensor.
  ///
  /// - Throws: ``TorchError`` where the bytes do not fill the shape exactly or are not aligned for the elements.
  public init(mapping bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType, owner: AnyObject) throws(TorchError) {
    let box = Unmanaged.passRetained(owner)
    var out = ct_tensor()
    let status = ct_tensor_map(
      UnsafeMutableRawPointer(mutating: bytes.baseAddress), Int64(bytes.count), shape.int64, Int64(shape.count), dtype.raw,
      box.toOpaque(), { Unmanaged<AnyObject>.fromOpaque($0!).release() }, &out)
    guard status == CT_OK else {
      box.release()
      throw TorchError(status, operation: "map", operands: [])
    }
    self.init(owning: out)
  }

  /// A tensor of `values` in row-major order; of one dimension where no shape is given.
  public init<Element: TensorElement>(_ values: [Element], shape: [Int]? = nil) throws(TorchError) {
    let shape = shape ?? [values.count]
    self = try Tensor.make("tensor") { out in
      values.withUnsafeBytes {
        ct_tensor_copy($0.baseAddress, Int64($0.count), shape.int64, Int64(shape.count), Element.dtype.raw, out)
      }
    }
  }

  /// A tensor of zeros.
  public static func zeros(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws(TorchError) -> Tensor {
    try full(shape, 0, dtype: dtype, device: device)
  }

  /// A tensor of ones.
  public static func ones(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws(TorchError) -> Tensor {
    try full(shape, 1, dtype: dtype, device: device)
  }

  /// A tensor of one value.
  public static func full(
    _ shape: [Int], _ value: Double, dtype: DType = .float32, device: Device = .cpu
  ) throws(TorchError) -> Tensor {
    try make("full") { ct_full(shape.int64, Int64(shape.count), value, dtype.raw, device.raw, $0) }
  }

  /// A tensor whose numbers are yet to be written.
  public static func empty(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws(TorchError) -> Tensor {
    try make("empty") { ct_empty(shape.int64, Int64(shape.count), dtype.raw, device.raw, $0) }
  }

  /// `start, start + step, …` below `end`.
  public static func arange(
    _ start: Double = 0, to end: Double, step: Double = 1, dtype: DType = .int64, device: Device = .cpu
  ) throws(TorchError) -> Tensor {
    try make("arange") { ct_arange(start, end, step, dtype.raw, device.raw, $0) }
  }
}

// MARK: - Asking

extension Tensor {
  /// The size of each dimension.
  public var shape: [Int] {
    withSizes { sizes in
      Array(unsafeUninitializedCapacity: sizes.count) { array, count in
        for (place, size) in sizes.enumerated() { array.initializeElement(at: place, to: Int(size)) }
        count = sizes.count
      }
    }
  }

  /// The number of dimensions.
  public var rank: Int { withSizes(\.count) }

  /// The sizes where libtorch keeps them.
  private func withSizes<Result>(_ body: (UnsafeBufferPointer<Int64>) -> Result) -> Result {
    var sizes: UnsafePointer<Int64>?
    var rank: Int64 = 0
    return withExtendedLifetime(storage) {
      ct_shape(raw, &sizes, &rank)
      return body(UnsafeBufferPointer(start: sizes, count: Int(rank)))
    }
  }

  /// The number of elements.
  public var count: Int {
    var count: Int64 = 0
    withExtendedLifetime(storage) { _ = ct_count(raw, &count) }
    return Int(count)
  }

  /// Bytes the elements take.
  public var byteCount: Int { count * dtype.byteSize }

  /// The element type.
  public var dtype: DType {
    var raw = CT_FLOAT32
    withExtendedLifetime(storage) { _ = ct_dtype_of(self.raw, &raw) }
    return DType(raw: raw) ?? .float32
  }

  /// Where it lives.
  public var device: Device {
    var raw = ct_device(kind: CT_CPU, index: 0)
    withExtendedLifetime(storage) { _ = ct_device_of(self.raw, &raw) }
    return Device(raw: raw)
  }

  /// Shape, element type and device in one line, for errors: `[2, 3] float32 cpu`.
  public var summary: String { "\(shape) \(dtype.rawValue) \(device)" }

  /// The size of dimension `index`; a negative one counts from the end.
  ///
  /// - Throws: ``TorchError`` where there is no such dimension.
  public func size(_ index: Int) throws(TorchError) -> Int {
    let shape = shape
    let place = index < 0 ? index + shape.count : index
    guard shape.indices.contains(place) else {
      throw TorchError(.indexRange, operation: "size", operands: [self], message: "there is no dimension \(index)")
    }
    return shape[place]
  }

  /// The one number of a one-element tensor.
  public func item() throws(TorchError) -> Double {
    var value = 0.0
    try Tensor.run("item", self) { ct_item(raw, &value) }
    return value
  }

  /// Gives the bytes in row-major order to `body`, from a contiguous copy on the CPU where this is not one.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    let dense = try to(.cpu).contiguous()
    var data: UnsafeMutableRawPointer?
    try Tensor.run("data", dense) { ct_data(dense.raw, &data) }
    return try withExtendedLifetime(dense) { try body(UnsafeRawBufferPointer(start: data, count: dense.byteCount)) }
  }

  /// The numbers in row-major order, converted to `Element`.
  public func array<Element: TensorElement>(_ type: Element.Type = Element.self) throws(TorchError) -> [Element] {
    let dense = try to(Element.dtype).to(.cpu).contiguous()
    var data: UnsafeMutableRawPointer?
    try Tensor.run("data", dense) { ct_data(dense.raw, &data) }
    return withExtendedLifetime(dense) {
      Array(UnsafeRawBufferPointer(start: data, count: dense.byteCount).bindMemory(to: Element.self))
    }
  }

  /// True where both share one memory.
  public func sharesStorage(with other: Tensor) -> Bool {
    var own: UInt64 = 0
    var others: UInt64 = 1
    withExtendedLifetime((storage, other.storage)) {
      ct_storage_id(raw, &own)
      ct_storage_id(other.raw, &others)
    }
    return own == others
  }

  /// True where both are as many elements from the same place of one memory, so that a change of one is a change of the other.
  public func isSameMemory(as other: Tensor) -> Bool {
    guard count == other.count, sharesStorage(with: other) else { return false }
    var own: UnsafeMutableRawPointer?
    var others: UnsafeMutableRawPointer?
    withExtendedLifetime((storage, other.storage)) {
      ct_data(raw, &own)
      ct_data(other.raw, &others)
    }
    return own == others
  }

  /// Handles made and not yet freed, over the whole process: a leak shows as growth from step to step.
  public static var liveCount: Int { Int(ct_live_tensors()) }
}

// MARK: - Converting

extension Tensor {
  /// The same numbers as another element type; itself where it has that type.
  public func to(_ dtype: DType) throws(TorchError) -> Tensor {
    if self.dtype == dtype { return self }
    return try Tensor.make("to", self) { ct_to_dtype(raw, dtype.raw, $0) }
  }

  /// The same numbers on another device; itself where it is there.
  public func to(_ device: Device) throws(TorchError) -> Tensor {
    if self.device == device { return self }
    return try Tensor.make("to", self) { ct_to_device(raw, device.raw, $0) }
  }

  /// The same numbers in row-major order without gaps; itself where they are.
  public func contiguous() throws(TorchError) -> Tensor {
    try Tensor.make("contiguous", self) { ct_contiguous(raw, $0) }
  }

  /// A copy with memory of its own.
  public func clone() throws(TorchError) -> Tensor {
    try Tensor.make("clone", self) { ct_clone(raw, $0) }
  }
}

extension Array where Element == Int {
  /// The same numbers as the shim takes them.
  var int64: [Int64] { map(Int64.init) }
}
