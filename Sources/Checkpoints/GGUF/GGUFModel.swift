import Foundation
import OrderedCollections
import Text
import Torch

/// The model in a GGUF file as a Hugging Face folder would hold it: the same names, layouts and configuration.
public final class GGUFModel: CheckpointSource {
  private struct Source {
    let name: String
    let layout: GGUFArchitecture.Layout
  }

  /// The file with its own names.
  public let file: GGUFFile
  /// The configuration in the form of `config.json`.
  public let config: JSON
  private let sources: OrderedDictionary<String, Source>
  private let headSize: Int

  /// Opens the model in a file.
  ///
  /// - Throws: ``CheckpointError`` where the architecture is not supported, a key is missing, or a tensor has no counterpart.
  public init(_ file: GGUFFile) throws(CheckpointError) {
    let metadata = file.metadata
    let kind = try metadata.string("general.type") ?? "model"
    guard kind == "model" else {
      throw CheckpointError(.unsupported, at: file.path, "holds no model: its “general.type” is “\(kind)”")
    }
    let key = "general.architecture"
    let name = try metadata.required(metadata.string(key), key)
    guard let architecture = GGUFArchitecture.all[name] else {
      let known = GGUFArchitecture.all.keys.sorted().joined(separator: ", ")
      throw CheckpointError(.unsupported, at: file.path, in: "key “\(key)”", "“\(name)” is not supported; these are: \(known)")
    }
    let configuration = GGUFConfiguration(file: file, architecture: name)
    self.file = file
    config = try architecture.config(configuration)
    headSize = try configuration.headSize()
    sources = try GGUFModel.sources(file, architecture)
    try checkHeads()
  }

  private static func sources(
    _ file: GGUFFile, _ architecture: GGUFArchitecture
  ) throws(CheckpointError) -> OrderedDictionary<String, Source> {
    var sources: OrderedDictionary<String, Source> = [:]
    for name in file.names where !architecture.ignored.contains(name) {
      guard let counterpart = architecture.counterpart(of: name) else {
        throw CheckpointError(
          .unsupported, at: file.path, in: "tensor “\(name)”", "models of architecture \(architecture.name) have no such weights")
      }
      sources[counterpart.name] = Source(name: name, layout: counterpart.layout)
    }
    return sources
  }

  /// Rows can be put in order only where they make up whole heads.
  private func checkHeads() throws(CheckpointError) {
    for source in sources.values where source.layout == .queryRows || source.layout == .keyRows {
      guard let rows = file.info(source.name)?.shape.first, headSize > 0, headSize % 2 == 0, rows % headSize == 0 else {
        throw CheckpointError(
          .malformed, at: path, in: "tensor “\(source.name)”", "its rows are not a multiple of an even head size, \(headSize)")
      }
    }
  }

  /// Where the file is.
  public var path: String { file.path }

  /// Hugging Face's names, in the order of the file.
  public var names: [String] { Array(sources.keys) }

  /// What the header says of a tensor; nil where there is none of that name.
  public func info(_ name: String) -> TensorInfo? {
    guard let source = sources[name], let info = file.info(source.name) else { return nil }
    let shape = source.layout == .transposed ? info.shape.reversed() : info.shape
    return TensorInfo(shape: shape, dtype: info.dtype, storedType: info.storedType, byteCount: info.byteCount)
  }

  /// A tensor in Hugging Face's layout, expanded where it is quantized. See ``CheckpointSource/tensor(_:as:)``.
  public func tensor(_ name: String, as dtype: DType?) throws -> Tensor {
    guard let source = sources[name] else { throw absent(name) }
    switch source.layout {
    case .same: return try file.tensor(source.name, as: dtype)
    case .queryRows, .keyRows:
      return try file.tensor(source.name, as: dtype, rows: .interleavedHalves(headSize: headSize))
    case .transposed: return try file.tensor(source.name, as: dtype).transposed(0, 1).contiguous()
    case .plusOne:
      let weight = try file.tensor(source.name, as: .float32) - 1
      return try weight.to(dtype ?? file.info(source.name)?.dtype ?? .float32)
    }
  }

  /// The quantized blocks of a matrix [out, in] as the file has them, their rows in the model's order.
  public func packed(_ name: String) throws -> PackedWeight? {
    guard let source = sources[name] else { throw absent(name) }
    switch source.layout {
    case .same, .transposed: return try file.packed(source.name, rows: .same)
    case .queryRows, .keyRows: return try file.packed(source.name, rows: .interleavedHalves(headSize: headSize))
    case .plusOne: return nil
    }
  }

  /// Gives the pages of a tensor's bytes back to the system. See ``CheckpointSource/release(_:)``.
  public func release(_ name: String) {
    if let source = sources[name] { file.release(source.name) }
  }

  /// A tensor's bytes as they lie in the file, under its Hugging Face name. See ``CheckpointSource/withStoredBytes(of:_:)``.
  public func withStoredBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    guard let source = sources[name] else { throw absent(name) }
    return try file.withStoredBytes(of: source.name, body)
  }
}
