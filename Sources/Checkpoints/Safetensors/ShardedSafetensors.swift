import Foundation
import OrderedCollections
import Text
import Torch

/// Several safetensors files that an index joins into one checkpoint: Hugging Face's `model.safetensors.index.json`.
public final class ShardedSafetensors: CheckpointSource {
  private let index: URL
  private let shards: [String: SafetensorsFile]
  private let fileOf: OrderedDictionary<String, String>

  /// Opens an index and every file it names.
  ///
  /// - Parameter index: the `….safetensors.index.json`.
  /// - Throws: ``CheckpointError`` where a file is missing or damaged, or does not hold a tensor that the index places in it.
  public init(index: URL) throws(CheckpointError) {
    self.index = index
    let json = try JSONFile.object(at: index)
    guard let map = json["weight_map"]?.object else {
      throw CheckpointError(.malformed, at: index.path, "has no object “weight_map”")
    }
    var files: OrderedDictionary<String, String> = [:]
    var shards: [String: SafetensorsFile] = [:]
    for (name, value) in map {
      let subject = "tensor “\(name)”"
      guard let file = value.string, !file.isEmpty, !file.contains("/"), file != ".." else {
        throw CheckpointError(
          .malformed, at: index.path, in: subject, "“weight_map” does not give the name of a file beside the index")
      }
      let opened = shards[file]
      let shard = if let opened { opened } else { try ShardedSafetensors.open(file, beside: index) }
      guard shard.info(name) != nil else {
        throw CheckpointError(.malformed, at: index.path, in: subject, "\(file), where the index places it, does not hold it")
      }
      shards[file] = shard
      files[name] = file
    }
    self.shards = shards
    fileOf = files
  }

  private static func open(_ file: String, beside index: URL) throws(CheckpointError) -> SafetensorsFile {
    let url = index.deletingLastPathComponent().appendingPathComponent(file)
    guard SystemCall.exists(url.path) else {
      throw CheckpointError(.missing, at: url.path, "\(index.lastPathComponent) names this file and it is not there")
    }
    return try SafetensorsFile(url)
  }

  /// Where the index is.
  public var path: String { index.path }

  /// The names, in the order of the index.
  public var names: [String] { Array(fileOf.keys) }

  /// What the header says of a tensor; nil where there is none of that name.
  public func info(_ name: String) -> TensorInfo? { shard(name)?.info(name) }

  /// A tensor over the mapped file that holds it, or a converted copy. See ``CheckpointSource/tensor(_:as:)``.
  public func tensor(_ name: String, as dtype: DType?) throws -> Tensor {
    guard let shard = shard(name) else { throw absent(name) }
    return try shard.tensor(name, as: dtype)
  }

  /// A tensor's bytes as they lie in the file that holds it. See ``CheckpointSource/withStoredBytes(of:_:)``.
  public func withStoredBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    guard let shard = shard(name) else { throw absent(name) }
    return try shard.withStoredBytes(of: name, body)
  }

  /// Gives the pages of a tensor's bytes back to the system. See ``CheckpointSource/release(_:)``.
  public func release(_ name: String) { shard(name)?.release(name) }

  private func shard(_ name: String) -> SafetensorsFile? { fileOf[name].flatMap { shards[$0] } }
}
