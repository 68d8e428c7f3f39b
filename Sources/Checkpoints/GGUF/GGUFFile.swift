import Foundation
import OrderedCollections
import Torch

/// One GGUF file of version 2 or 3, mapped into memory, with its tensors under the file's own names and in the file's own layout.
///
/// ``GGUFModel`` gives the same tensors as Hugging Face names and lays them out.
public final class GGUFFile: CheckpointSource {
  private let file: MappedFile
  let header: GGUFHeader

  /// Opens a file and checks its header against its size; no tensor is read.
  ///
  /// - Throws: ``CheckpointError`` with the file, the key or tensor, and what is wrong.
  public init(_ url: URL) throws(CheckpointError) {
    file = try MappedFile(url)
    try LFSPointer.refuse(file)
    var cursor = GGUFCursor(file.bytes, path: file.path)
    header = try GGUFHeader(&cursor, path: file.path)
    let parts = try metadata.int("split.count") ?? 1
    guard parts <= 1 else {
      throw CheckpointError(
        .unsupported, at: path, "is one of \(parts) parts of a model",
        remedy: "Join them into one file with llama.cpp's `llama-gguf-split --merge`")
    }
  }

  /// The key-value pairs at the head of the file.
  public var metadata: GGUFMetadata { header.metadata }

  /// Where the file is.
  public var path: String { file.path }

  /// The names as the file has them, in its order.
  public var names: [String] { Array(header.entries.keys) }

  /// What the header says of a tensor; nil where there is none of that name.
  public func info(_ name: String) -> TensorInfo? {
    header.entries[name].map {
      TensorInfo(shape: $0.shape, dtype: $0.type.dtype, storedType: $0.type.name, byteCount: $0.range.count)
    }
  }

  /// A tensor's bytes as they lie in the file, still quantized.
  ///
  /// - Throws: ``CheckpointError`` where the file has no such tensor; whatever `body` throws.
  public func withStoredBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    guard let entry = header.entries[name] else { throw absent(name) }
    return try withExtendedLifetime(file) { try body(bytes(of: entry)) }
  }

  /// A tensor in the layout of the file, expanded where it is quantized. See ``CheckpointSource/tensor(_:as:)``.
  public func tensor(_ name: String, as dtype: DType?) throws -> Tensor { try tensor(name, as: dtype, rows: .same) }

  /// A tensor with its rows put in the model's order. Quantized and floating-point weights are converted to `float32` and `bfloat16`
  /// while they are expanded, without a copy in between.
  func tensor(_ name: String, as dtype: DType?, rows order: RowOrder) throws -> Tensor {
    guard let entry = header.entries[name] else { throw absent(name) }
    guard let loading = entry.type.loading, let stored = entry.type.dtype else {
      throw CheckpointError(
        .unsupported, at: path, in: "tensor “\(name)”",
        "weights of type \(entry.type.name) cannot be loaded; these can: \(GGMLType.loadable)")
    }
    let wanted = dtype ?? stored
    let made: DType
    let work: RowExpansion.Work
    switch (loading, wanted) {
    case (.floating(_, let format), .float32) where stored != .float32, (.quantized(let format), .float32):
      (made, work) = (.float32, .float32(format))
    case (.floating(_, let format), .bfloat16) where stored != .bfloat16, (.quantized(let format), .bfloat16):
      (made, work) = (.bfloat16, .bfloat16(format))
    case (.quantized(let format), _): (made, work) = (.float32, .float32(format))
    case (.floating, _), (.stored, _): (made, work) = (stored, .copy)
    }
    let tensor =
      if case .copy = work, order == .same {
        try MappedTensor.make(bytes(of: entry), shape: entry.shape, dtype: stored, owner: file)
      } else {
        try expand(entry, name, to: made, by: work, rows: order)
      }
    return made == wanted ? tensor : try tensor.to(wanted)
  }

  /// The little-endian float32 at a byte of the file, which must lie inside it.
  func float(at offset: Int) -> Float { file.bytes.loadUnaligned(fromByteOffset: offset, as: Float.self) }

  /// The quantized blocks of a matrix: over the mapped file, or a copy with its rows in another order. Nil for what is no matrix, or
  /// not in blocks.
  func packed(_ name: String, rows order: RowOrder) throws -> PackedWeight? {
    guard let entry = header.entries[name] else { throw absent(name) }
    guard entry.shape.count == 2, entry.shape.allSatisfy({ $0 > 0 }), case .quantized = entry.type.loading,
      let format = PackedWeight.BlockFormat(rawValue: entry.type.name)
    else { return nil }
    let rows = entry.shape[0]
    let numbers: Tensor
    if order == .same {
      numbers = try MappedTensor.make(bytes(of: entry), shape: [entry.range.count], dtype: .uint8, owner: file)
    } else {
      let buffer = try AlignedBuffer(byteCount: entry.range.count, for: name, of: path)
      let rowByteCount = entry.range.count / rows
      let move = RowExpansion(
        work: .copy, rows: rows, order: order, rowByteCount: (rowByteCount, rowByteCount), rowBlocks: 0)
      withExtendedLifetime(file) { move.run(bytes(of: entry), into: buffer.bytes) }
      numbers = try Tensor(
        mapping: UnsafeRawBufferPointer(buffer.bytes), shape: [entry.range.count], dtype: .uint8, owner: buffer)
    }
    return PackedWeight(.blocks(format), shape: entry.shape, numbers: numbers, dtype: .float32)
  }

  /// Gives the pages of a tensor's bytes back to the system. See ``CheckpointSource/release(_:)``.
  public func release(_ name: String) {
    if let entry = header.entries[name] { file.release(entry.range) }
  }

  private func bytes(of entry: GGUFHeader.Entry) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: file.bytes[entry.range])
  }

  private func expand(
    _ entry: GGUFHeader.Entry, _ name: String, to dtype: DType, by work: RowExpansion.Work, rows order: RowOrder
  ) throws -> Tensor {
    let elements = entry.shape.reduce(1, *)
    guard let byteCount = TensorExtent.byteCount(elements, size: dtype.byteSize) else {
      throw CheckpointError(.malformed, at: path, in: "tensor “\(name)”", "its shape \(entry.shape) is too large to expand")
    }
    let buffer = try AlignedBuffer(byteCount: byteCount, for: name, of: path)
    // A vector is one row unless its rows, single elements then, have to move.
    let rowLength = entry.shape.count < 2 && order != .same ? 1 : entry.shape.last ?? 1
    let rows = rowLength == 0 ? 0 : elements / rowLength
    let expansion = RowExpansion(
      work: work, rows: rows, order: order,
      rowByteCount: (source: rows == 0 ? 0 : entry.range.count / rows, result: rowLength * dtype.byteSize),
      rowBlocks: rowLength / entry.type.blockLength)
    withExtendedLifetime(file) { expansion.run(bytes(of: entry), into: buffer.bytes) }
    return try Tensor(mapping: UnsafeRawBufferPointer(buffer.bytes), shape: entry.shape, dtype: dtype, owner: buffer)
  }
}
