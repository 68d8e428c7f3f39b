import Foundation
import Text
import Torch

/// Writes safetensors files that the reference library reads, equal byte for byte to its own for equal input.
public enum Safetensors {
  /// The metadata that Hugging Face libraries expect of a file with PyTorch tensors.
  public static let pyTorchMetadata = ["format": "pt"]

  /// Writes tensors to one file, whole or not at all. They go out one by one, without a second copy of all of them.
  ///
  /// - Parameters:
  ///   - tensors: names and tensors, in any order; the file has the largest elements first, then ascending names.
  ///   - metadata: the free text of `__metadata__`; nil leaves it out.
  ///   - url: the file.
  /// - Throws: ``CheckpointError`` where a name comes twice or the system refuses, `TorchError` where a tensor cannot be read.
  public static func write(
    _ tensors: [(String, Tensor)], metadata: [String: String]? = pyTorchMetadata, to url: URL
  ) throws {
    try write(tensors.map(PendingTensor.init), metadata: metadata, to: url)
  }

  /// The same of tensors that are made one by one, each when its turn comes: memory holds one of them.
  ///
  /// - Throws: besides, what making a tensor throws, and ``CheckpointError`` where one is not what was announced.
  public static func write(
    _ tensors: [PendingTensor], metadata: [String: String]? = pyTorchMetadata, to url: URL
  ) throws {
    let plan = try SafetensorsPlan(tensors.map { ($0.name, $0.shape, $0.dtype) }, metadata: metadata, path: url.path)
    try AtomicFile.write(to: url) { sink in
      try sink.write(plan.header)
      for index in plan.order {
        try write(tensors[index], to: sink)
        tensors[index].written()
      }
    }
  }

  private static func write(_ pending: PendingTensor, to sink: FileSink) throws {
    let tensor = try pending.make()
    guard tensor.shape == pending.shape, tensor.dtype == pending.dtype else {
      throw CheckpointError(
        .malformed, at: sink.path, in: "tensor “\(pending.name)”",
        "was announced as \(pending.shape) \(pending.dtype.rawValue) and is \(tensor.summary)")
    }
    try tensor.withUnsafeBytes { try sink.write($0) }
  }
}

/// A tensor that is about to be written and made when its turn comes.
public struct PendingTensor {
  /// Its name in the file.
  public let name: String
  /// Sizes, outermost first.
  public let shape: [Int]
  /// The element type.
  public let dtype: DType
  /// Told that it is written and gone.
  public let written: () -> Void
  /// Makes it; called once for each time it is written.
  public let make: () throws -> Tensor

  /// A tensor of known shape and type that `make` will give.
  public init(
    _ name: String, shape: [Int], dtype: DType, written: @escaping () -> Void = {}, make: @escaping () throws -> Tensor
  ) {
    (self.name, self.shape, self.dtype, self.written, self.make) = (name, shape, dtype, written, make)
  }

  /// A tensor that is there.
  public init(_ name: String, _ tensor: Tensor) {
    self.init(name, shape: tensor.shape, dtype: tensor.dtype) { tensor }
  }

  /// The bytes of its elements.
  public var byteCount: Int { shape.reduce(1, *) * dtype.byteSize }
}

/// The layout of a file about to be written: the order of the tensors and the header's bytes.
struct SafetensorsPlan {
  /// Indices into the tensors given, in the order of the file.
  let order: [Int]
  /// The length, the JSON and the padding to a multiple of eight bytes.
  let header: [UInt8]
  /// The bytes of all tensors.
  let dataCount: Int

  init(
    _ tensors: [(name: String, shape: [Int], dtype: DType)], metadata: [String: String]?, path: String
  ) throws(CheckpointError) {
    let types = tensors.map { SafetensorsType($0.dtype) }
    let ranks = types.map { SafetensorsType.layoutRank[$0] ?? 0 }
    // Python and Rust order text by its bytes.
    let names = tensors.map { Array($0.name.utf8) }
    order = tensors.indices.sorted { left, right in
      ranks[left] == ranks[right] ? names[left].lexicographicallyPrecedes(names[right]) : ranks[left] < ranks[right]
    }
    var seen: Set<String> = ["__metadata__"]
    for tensor in tensors where !seen.insert(tensor.name).inserted {
      throw CheckpointError(.malformed, at: path, in: "tensor “\(tensor.name)”", "a file cannot hold this name, or not twice")
    }
    var members: [String] = []
    if let metadata {
      let pairs = metadata.sorted { $0.key < $1.key }.map { (JSON.string($0.key).text(), JSON.string($0.value).text()) }
      members.append("\"__metadata__\":{" + pairs.map { "\($0):\($1)" }.joined(separator: ",") + "}")
    }
    var offset = 0
    for index in order {
      let (name, shape, dtype) = tensors[index]
      let end = offset + shape.reduce(1, *) * dtype.byteSize
      let sizes = shape.map(String.init).joined(separator: ",")
      members.append(
        "\(JSON.string(name).text()):{\"dtype\":\"\(types[index].rawValue)\",\"shape\":[\(sizes)],\"data_offsets\":[\(offset),\(end)]}"
      )
      offset = end
    }
    dataCount = offset
    var text = Array(("{" + members.joined(separator: ",") + "}").utf8)
    text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - text.count % 8) % 8))
    header = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
  }
}
