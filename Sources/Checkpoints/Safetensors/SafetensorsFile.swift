import Foundation
import OrderedCollections
import Torch

/// One safetensors file, mapped into memory.
public final class SafetensorsFile: CheckpointSource {
  private let file: MappedFile
  private let header: SafetensorsHeader

  /// Opens a file and checks its header against its size; no tensor is read.
  ///
  /// - Throws: ``CheckpointError`` with the file, the tensor and what is wrong.
  public init(_ url: URL) throws(CheckpointError) {
    file = try MappedFile(url)
    try LFSPointer.refuse(file)
    header = try SafetensorsHeader(file.bytes, path: file.path)
  }

  /// Where the file is.
  public var path: String { file.path }

  /// The names, in the order of their bytes.
  public var names: [String] { Array(header.entries.keys) }

  /// The free text of the header's `__metadata__`.
  public var metadata: [String: String] { header.metadata }

  /// What the header says of a tensor; nil where there is none of that name.
  public func info(_ name: String) -> TensorInfo? {
    header.entries[name].map {
      TensorInfo(shape: $0.shape, dtype: $0.type.dtype, storedType: $0.type.rawValue, byteCount: $0.range.count)
    }
  }

  /// A tensor over the mapped file, or a converted copy. See ``CheckpointSource/tensor(_:as:)``.
  public func tensor(_ name: String, as dtype: DType?) throws -> Tensor {
    guard let entry = header.entries[name] else { throw absent(name) }
    guard let stored = entry.type.dtype else {
      throw CheckpointError(
        .unsupported, at: path, in: "tensor “\(name)”", "elements of type \(entry.type.rawValue) cannot be loaded")
    }
    let tensor = try MappedTensor.make(bytes(of: entry), shape: entry.shape, dtype: stored, owner: file)
    return dtype == nil || dtype == stored ? tensor : try tensor.to(dtype ?? stored)
  }

  /// A tensor's bytes as they lie in the file. See ``CheckpointSource/withStoredBytes(of:_:)``.
  public func withStoredBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    guard let entry = header.entries[name] else { throw absent(name) }
    return try withExtendedLifetime(file) { try body(bytes(of: entry)) }
  }

  /// Gives the pages of a tensor's bytes back to the system. See ``CheckpointSource/release(_:)``.
  public func release(_ name: String) {
    guard let entry = header.entries[name] else { return }
    let start = header.dataStart + entry.range.lowerBound
    file.release(start..<start + entry.range.count)
  }

  private func bytes(of entry: SafetensorsHeader.Entry) -> UnsafeRawBufferPointer {
    let start = header.dataStart + entry.range.lowerBound
    return UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + entry.range.count])
  }
}

/// Tensors over bytes of a file.
enum MappedTensor {
  /// A tensor over mapped bytes where they are aligned for its elements, else over a copy of them.
  static func make(
    _ bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType, owner: MappedFile
  ) throws(TorchError) -> Tensor {
    let isAligned = UInt(bitPattern: bytes.baseAddress) % UInt(dtype.byteSize) == 0
    guard isAligned, !bytes.isEmpty else { return try Tensor(copying: bytes, shape: shape, dtype: dtype) }
    return try Tensor(mapping: bytes, shape: shape, dtype: dtype, owner: owner)
  }
}
