import Checkpoints
import NN
import Torch

/// Makes models from files.
public enum ModelLoader {
  /// The model that `configuration` describes, with the numbers of `weights`, frozen.
  ///
  /// - Parameters:
  ///   - configuration: the config.json.
  ///   - weights: tensors under Hugging Face's names.
  ///   - dtype: what to keep floating-point parameters as.
  ///   - device: where to keep them.
  ///   - packing: which projections are kept in few bits; nil for those that the checkpoint keeps so.
  ///   - numbers: what the other projections are kept in.
  ///   - keep: where the bits of a weight that was packed go; nil for memory.
  /// - Throws: ``ModelError`` for an unknown architecture, a wrong setting, a missing, superfluous or misshapen tensor, and one that
  ///   cannot be packed; what the checkpoint throws.
  public static func load(
    _ configuration: ModelConfiguration, weights: any CheckpointSource, dtype: DType, device: Device,
    packing: ProjectionPacking? = nil, projections numbers: ProjectionNumbers = .converted,
    keepingPacked keep: ((Tensor) throws -> Tensor)? = nil
  ) throws -> any CausalLM {
    let architecture = try architecture(configuration)
    let model = try skeleton(configuration)
    let keys = KeyTable(weights, architecture: architecture)
    var unused = Set(weights.names.filter { name in !architecture.buffers.contains { name.hasSuffix($0) } })
    var missing: [String] = []
    let packer = ProjectionPacker(
      weights: weights, packing: packing, dtype: dtype, source: numbers.packedFrom ?? dtype, device: device, keep: keep)
    for (path, slot) in model.projections() where !(model.isTied && path == "lm_head") {
      guard let name = keys.name("\(path).weight"), let projection = try packer.projection(slot.value, at: path, named: name)
      else { continue }
      slot.value = projection
      unused.remove(name)
      TorchRuntime.trimMemory()  // what held the numbers before they were packed, and the place they were to have
    }
    let stored = numbers == .converted ? [:] : Dictionary(uniqueKeysWithValues: model.projections().map { ("\($0).weight", $1) })
    for (path, slot, value) in model.parameters() {
      if model.isTied, path == "lm_head.weight" {
        if let name = keys.name(path) { unused.remove(name) }
        continue
      }
      guard let name = keys.name(path) else {
        missing.append(path)
        continue
      }
      unused.remove(name)
      // What scores texts is small, and computes in float32.
      let kept = path.hasPrefix("score.") ? DType.float32 : dtype
      let dense = stored[path]?.value
      let type = dense == nil ? kept : storedType(name, in: weights) ?? kept
      slot.value = try read(name, shape: value.shape, from: weights, dtype: type, device: device)
      TorchRuntime.trimMemory()
      if device == .cpu {
        (dense as? Linear)?.pages = { weights.release(name) }
        (dense as? Conv1D)?.pages = { weights.release(name) }
      }
    }
    try check(missing: missing, unused: unused.sorted(), in: weights.path)
    for (_, table) in model.embeddings() { table.outputDType = dtype }
    if model.isTied, model.predictsTokens { model.head = try packer.head(Linear(weight: model.embedding.weight, bias: nil)) }
    return model
  }

  /// The model that `configuration` describes, its numbers yet to be loaded: what there is and under which names.
  ///
  /// - Throws: ``ModelError`` for an unknown architecture or a wrong setting.
  public static func skeleton(_ configuration: ModelConfiguration) throws -> any CausalLM {
    let model = try architecture(configuration).make(configuration)
    if let shape = try configuration.scoreHead() {
      model.head = AbsentHead(model.shape.hiddenSize)
      try model.setScoreHead(shape, deviation: 0)
    }
    return model
  }

  /// The name under which `weights` hold the parameter at `path` of a model; nil where they do not. Some files leave out the first
  /// part of all keys.
  ///
  /// - Throws: ``ModelError`` for an unknown architecture.
  public static func name(
    of path: String, in weights: any CheckpointSource, _ configuration: ModelConfiguration
  ) throws(ModelError) -> String? {
    KeyTable(weights, architecture: try architecture(configuration)).name(path)
  }

  private static func architecture(_ configuration: ModelConfiguration) throws(ModelError) -> Architecture {
    let type = try configuration.word("model_type", fallback: "")
    guard let architecture = Architecture.registry[type] else {
      let known = knownModelTypes.joined(separator: ", ")
      throw configuration.error(
        "model_type", type.isEmpty ? "is missing; known are \(known)" : "is “\(type)”; known are \(known)")
    }
    return architecture
  }

  private static func read(
    _ name: String, shape: [Int], from weights: any CheckpointSource, dtype: DType, device: Device
  ) throws -> Tensor {
    if let stored = weights.info(name)?.shape, stored != shape {
      throw ModelError("\(weights.path): tensor “\(name)” has shape \(stored), and its config.json asks for \(shape)")
    }
    return try weights.loaded(name, as: dtype, on: device)
  }

  /// The floating-point type in which the files have a tensor; nil where they have it in another.
  private static func storedType(_ name: String, in weights: any CheckpointSource) -> DType? {
    weights.info(name)?.dtype.flatMap { [.bfloat16, .float16].contains($0) ? $0 : nil }
  }

  private static func check(missing: [String], unused: [String], in path: String) throws(ModelError) {
    guard !missing.isEmpty || !unused.isEmpty else { return }
    var problems: [String] = []
    if !missing.isEmpty { problems.append("it lacks \(listing(missing))") }
    if !unused.isEmpty { problems.append("no part of the model takes \(listing(unused))") }
    throw ModelError("\(path) does not fit its config.json: \(problems.joined(separator: "; "))")
  }

  private static func listing(_ names: [String]) -> String {
    let shown = names.prefix(5).map { "“\($0)”" }.joined(separator: ", ")
    return names.count > 5 ? "\(shown) and \(names.count - 5) more" : shown
  }
}

/// Finds a parameter's tensor, also where a file leaves out the first part of its keys.
private struct KeyTable {
  private let names: Set<String>
  private let prefix: String

  init(_ weights: any CheckpointSource, architecture: Architecture) {
    names = Set(weights.names)
    prefix = architecture.prefix
  }

  func name(_ path: String) -> String? {
    if names.contains(path) { return path }
    guard path.hasPrefix(prefix) else { return nil }
    let short = String(path.dropFirst(prefix.count))
    return names.contains(short) ? short : nil
  }
}
