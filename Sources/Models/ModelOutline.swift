import Checkpoints
import NN
import OrderedCollections
import Torch

/// A model as it is after loading, without its numbers: parts, paths, shapes and element types, on `Device.meta`.
public struct ModelOutline {
  /// The model.
  public let model: any CausalLM
  /// Bytes of its numbers in memory, by how they are stored: `bfloat16`, `nf4`, `Q4_1` …
  public let weightBytes: OrderedDictionary<String, Int>
  /// Bytes of the file's tensors that are read to make them and are not their memory themselves.
  public let readBytes: Int
  /// The largest tensor in bytes of the element type it is made in, which exists beside its packed form for a moment.
  public let largestTensorBytes: Int

  /// All bytes of the weights.
  public var totalBytes: Int { weightBytes.values.reduce(0, +) }
}

extension ModelLoader {
  /// What `load` makes, from the names and shapes of the checkpoint alone.
  ///
  /// - Throws: ``ModelError`` for an unknown architecture or a wrong setting, and for a tensor that is missing or misshapen.
  public static func outline(
    _ configuration: ModelConfiguration, weights: any CheckpointSource, dtype: DType, packing: ProjectionPacking? = nil
  ) throws -> ModelOutline {
    let model = try withShapesOnly { try skeleton(configuration) }
    var outliner = Outliner(weights: weights, packing: packing, dtype: dtype)
    for (path, slot) in model.projections() where !(model.isTied && path == "lm_head") {
      guard let name = try name(of: "\(path).weight", in: weights, configuration) else { continue }
      if let packed = try outliner.packed(slot.value, at: path, named: name) { slot.value = packed }
    }
    for (path, slot, value) in model.parameters() where !(model.isTied && path == "lm_head.weight") {
      guard let name = try name(of: path, in: weights, configuration) else {
        throw ModelError("\(weights.path) does not fit its config.json: it lacks “\(path)”")
      }
      slot.value = try outliner.dense(name, shape: value.shape)
    }
    for (_, table) in model.embeddings() { table.outputDType = dtype }
    if model.isTied { model.head = try outliner.head(model.embedding.weight) }
    return ModelOutline(
      model: model, weightBytes: outliner.bytes, readBytes: outliner.read, largestTensorBytes: outliner.largest)
  }
}

/// Makes the parts of an outline, and counts.
private struct Outliner {
  let weights: any CheckpointSource
  let packing: ProjectionPacking?
  let dtype: DType
  var bytes: OrderedDictionary<String, Int> = [:]
  var read = 0
  var largest = 0

  mutating func packed(_ dense: any Projection, at path: String, named name: String) throws -> QuantizedLinear? {
    let keepsStored = weights.staysPacked || (packing.map { $0.format == nil && !$0.skips(path) } ?? false)
    let info = weights.info(name)
    let shape = [dense.outputSize, dense.inputSize]
    if keepsStored, let info, let format = PackedWeight.Format(storedType: info.storedType), info.shape.count == 2 {
      return try made(format, shape, dense, as: info.storedType)
    }
    guard let packing, let format = packing.format, !packing.skips(path) else { return nil }
    largest = max(largest, shape.reduce(1, *) * dtype.byteSize)
    return try made(format, shape, dense, as: "\(format)")
  }

  mutating func head(_ table: Tensor) throws -> any Projection {
    let dense = Linear(weight: table, bias: nil)
    guard let packing, let format = packing.format, !packing.skips("lm_head") else { return dense }
    return try made(format, table.shape, dense, as: "\(format)")
  }

  private mutating func made(
    _ format: PackedWeight.Format, _ shape: [Int], _ dense: any Projection, as form: String
  ) throws -> QuantizedLinear {
    let packed = try PackedWeight(shapeOnly: shape, as: format, doubleQuant: packing?.doubleQuant ?? true, dtype: dtype)
    bytes[form, default: 0] += packed.byteCount
    return QuantizedLinear(packed, bias: dense.denseBias, storesTransposed: dense.storesTransposed, dtype: dtype)
  }

  mutating func dense(_ name: String, shape: [Int]) throws -> Tensor {
    guard let info = weights.info(name) else { throw ModelError("\(weights.path): there is no tensor “\(name)”") }
    guard info.shape == shape else {
      throw ModelError("\(weights.path): tensor “\(name)” has shape \(info.shape), and its config.json asks for \(shape)")
    }
    let tensor = try Tensor.empty(shape, dtype: dtype, device: .meta)
    bytes[dtype.rawValue, default: 0] += tensor.byteCount
    // One of the wanted type is the mapped file itself.
    if info.dtype != dtype || info.byteCount != tensor.byteCount { read += info.byteCount }
    return tensor
  }
}

extension PackedWeight.Format {
  /// The format in which a checkpoint says that it has packed a tensor; nil for any that is not packed, or cannot stay so.
  fileprivate init?(storedType: String) {
    switch storedType {
    case "NF4": self = .nf4
    case "FP4": self = .fp4
    case "INT8": self = .int8
    default:
      guard let blocks = PackedWeight.BlockFormat(rawValue: storedType) else { return nil }
      self = .blocks(blocks)
    }
  }
}
