import Torch

/// What a file says of one tensor.
public struct TensorInfo: Sendable, Hashable {
  /// Sizes, outermost first.
  public let shape: [Int]
  /// The element type that ``CheckpointSource/tensor(_:as:)`` gives when asked for none; nil where the file's type has no counterpart.
  public let dtype: DType?
  /// The type as the file's format spells it: `BF16`, `Q4_K`.
  public let storedType: String
  /// The bytes it takes in the file.
  public let byteCount: Int

  /// The number of elements.
  public var elementCount: Int { shape.reduce(1, *) }
}

/// Named tensors in files: one safetensors file, a sharded folder, or a GGUF file.
///
/// Opening reads and checks the headers alone; the bytes of a tensor are read when it is asked for.
public protocol CheckpointSource: Sendable {
  /// The file or folder, for messages.
  var path: String { get }
  /// The names, in the order of the file.
  var names: [String] { get }
  /// What the file says of a tensor; nil where it has none of that name.
  func info(_ name: String) -> TensorInfo?
  /// A tensor on the CPU.
  ///
  /// Where nothing needs converting, its storage is the mapped file itself: pages are read when they are touched, and writing
  /// to the tensor changes private copies of them, never the file.
  ///
  /// - Parameters:
  ///   - name: one of ``names``.
  ///   - dtype: the element type wanted; nil for the stored one (`float32` where weights are quantized).
  /// - Throws: ``CheckpointError`` where there is no such tensor or its type is not supported, `TorchError` from libtorch.
  func tensor(_ name: String, as dtype: DType?) throws -> Tensor
  /// A tensor's bytes as they lie in the file, still quantized and in the file's own layout.
  ///
  /// - Throws: ``CheckpointError`` where there is no such tensor; whatever `body` throws.
  func withStoredBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result
  /// A weight [out, in] in the few bits in which the file has it; nil where it has it otherwise, or products cannot take it so.
  ///
  /// - Throws: ``CheckpointError`` where its parts are damaged, `TorchError` from libtorch.
  func packed(_ name: String) throws -> PackedWeight?
  /// Says that a tensor was read and none over its bytes is left, so that they need not stay in memory.
  func release(_ name: String)
  /// Whether packed weights stay so unless somebody asks for dense ones.
  var staysPacked: Bool { get }
}

extension CheckpointSource {
  /// Nil.
  public func packed(_ name: String) throws -> PackedWeight? { nil }
  /// Does nothing.
  public func release(_ name: String) {}
  /// False.
  public var staysPacked: Bool { false }

  /// A tensor in its stored element type.
  public func tensor(_ name: String) throws -> Tensor { try tensor(name, as: nil) }

  /// A tensor on a device, after whose making no bytes of the file stay in memory but those that it lies over.
  ///
  /// - Throws: what ``tensor(_:as:)`` throws.
  public func loaded(_ name: String, as dtype: DType?, on device: Device = .cpu) throws -> Tensor {
    let tensor = try tensor(name, as: dtype).to(device)
    let liesOverFile =
      try device == .cpu
      && withStoredBytes(of: name) { stored in try tensor.withUnsafeBytes { $0.baseAddress == stored.baseAddress } }
    if !liesOverFile { release(name) }
    return tensor
  }

  /// The failure of a name that is not in the file.
  func absent(_ name: String) -> CheckpointError {
    let count = names.count == 1 ? "1 tensor" : "\(names.count) tensors"
    return CheckpointError(.absent, at: path, in: "tensor “\(name)”", "not among the \(count) in the file")
  }
}
