import Foundation
import OrderedCollections
import Text
import Torch

extension Safetensors {
  /// The size at which Hugging Face libraries begin another file.
  public static let defaultShardByteLimit = 5_000_000_000

  /// Writes a model's weights into a folder as Hugging Face libraries do: `model.safetensors`, or `model-00001-of-0000N.safetensors`
  /// and so on with `model.safetensors.index.json` where they do not fit in one file.
  ///
  /// Each file is written whole or not at all. Weights of an earlier write that the new ones do not replace are removed at the end,
  /// since a reader would prefer them.
  ///
  /// - Parameters:
  ///   - tensors: names and tensors, in the order in which they fill the files.
  ///   - metadata: the free text of each file's `__metadata__`.
  ///   - folder: an existing folder.
  ///   - shardByteLimit: the most bytes of tensors in one file; a larger tensor gets a file of its own.
  /// - Returns: the names of the files written, the index last.
  /// - Throws: ``CheckpointError`` where a name comes twice or the system refuses, `TorchError` where a tensor cannot be read.
  @discardableResult
  public static func write(
    _ tensors: [(String, Tensor)], metadata: [String: String]? = pyTorchMetadata, inFolder folder: URL,
    shardByteLimit: Int = defaultShardByteLimit
  ) throws -> [String] {
    try write(tensors.map(PendingTensor.init), metadata: metadata, inFolder: folder, shardByteLimit: shardByteLimit)
  }

  /// The same of tensors that are made one by one, each when its turn comes: memory holds one of them.
  ///
  /// - Returns: the names of the files written, the index last.
  /// - Throws: besides, what making a tensor throws.
  @discardableResult
  public static func write(
    _ tensors: [PendingTensor], metadata: [String: String]? = pyTorchMetadata, inFolder folder: URL,
    shardByteLimit: Int = defaultShardByteLimit
  ) throws -> [String] {
    let sizes = tensors.map(\.byteCount)
    let shards = split(sizes, limit: shardByteLimit)
    var written: [String] = []
    var weightMap: OrderedDictionary<String, JSON> = [:]
    for (number, shard) in shards.enumerated() {
      let file = shards.count == 1 ? "model.safetensors" : shardName(number + 1, of: shards.count)
      try write(Array(tensors[shard]), metadata: metadata, to: folder.appendingPathComponent(file))
      for name in tensors[shard].map(\.name) {
        guard weightMap.updateValue(.string(file), forKey: name) == nil else {
          throw CheckpointError(.malformed, at: folder.path, in: "tensor “\(name)”", "comes twice")
        }
      }
      written.append(file)
    }
    if shards.count > 1 {
      weightMap.sort { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      let parameters = tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
      let index: JSON = [
        "metadata": ["total_parameters": .int(parameters), "total_size": .int(sizes.reduce(0, +))],
        "weight_map": .object(weightMap),
      ]
      try AtomicFile.write(index.text(.pretty) + "\n", to: folder.appendingPathComponent(indexName))
      written.append(indexName)
    }
    try removeWeights(in: folder, except: written)
    return written
  }

  static let indexName = "model.safetensors.index.json"

  private static func shardName(_ number: Int, of count: Int) -> String {
    func digits(_ value: Int) -> String { String(repeating: "0", count: max(0, 5 - String(value).count)) + String(value) }
    return "model-\(digits(number))-of-\(digits(count)).safetensors"
  }

  /// Fills files in order: a tensor that would pass the limit opens the next one.
  static func split(_ sizes: [Int], limit: Int) -> [Range<Int>] {
    var shards: [Range<Int>] = []
    var start = 0
    var filled = 0
    for (index, size) in sizes.enumerated() {
      if index > start, filled + size > limit {
        shards.append(start..<index)
        (start, filled) = (index, 0)
      }
      filled += size
    }
    return shards + [start..<sizes.count]
  }

  /// True for a name under which ``write(_:metadata:inFolder:shardByteLimit:)`` puts weights.
  private static func holdsWeights(_ name: String) -> Bool {
    name == "model.safetensors" || name == indexName
      || name.wholeMatch(of: /model-[0-9]{5,}-of-[0-9]{5,}\.safetensors/) != nil
  }

  private static func removeWeights(in folder: URL, except kept: [String]) throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where holdsWeights(name) && !kept.contains(name)
    {
      try FileManager.default.removeItem(at: folder.appendingPathComponent(name))
    }
  }
}
