import Checkpoints
import Datasets
import Foundation
import Models
import NN
import OrderedCollections
import Text
import Torch

/// What of a teacher is kept, and the configuration that follows.
struct StudentCut {
  /// The layers kept, by their numbers in the teacher.
  let layers: [Int]
  /// The configuration of the student.
  let config: JSON
  /// Query heads, groups of them and feed-forward units in a layer of the student; 0 where the architecture has no such keys.
  let heads: Int, groupCount: Int, unitCount: Int
  private let headSize: Int
  /// Query heads of a group.
  private let groupSize: Int
  /// The groups and units kept in each layer of the teacher; empty where all are.
  private var groups: [[Int]] = []
  private var units: [[Int]] = []

  init(_ plan: StudentModel, teacher: ModelWeights, samples: [EncodedSample], say: (String) -> Void) throws {
    let (shape, old) = (teacher.model.shape, teacher.files.config)
    layers = try plan.layers?.of(shape.layerCount) ?? Array(0..<shape.layerCount)
    headSize = shape.headSize
    let oldHeads = old["num_attention_heads"]?.int ?? old["n_head"]?.int ?? 0
    groupSize = max(1, oldHeads / max(1, shape.keyValueHeads))
    groupCount = try Self.groups(plan, shape)
    let oldUnits = old["intermediate_size"]?.int ?? 0
    unitCount = try Self.units(plan, of: oldUnits)
    heads = plan.keyValueHeads == nil ? oldHeads : groupCount * groupSize
    config = Self.config(old, layers: layers, heads: heads, groups: groupCount, units: unitCount, headSize: headSize, plan)
    guard plan.measures else { return }
    say("measuring heads and units on \(counted(samples.reduce(0) { $0 + $1.ids.count }, "token"))")
    let importance = try UnitImportance(teacher.model, samples: samples)
    if groupCount < shape.keyValueHeads { groups = importance.groups.map { UnitImportance.best(groupCount, of: $0) } }
    if unitCount < oldUnits { units = importance.units.map { UnitImportance.best(unitCount, of: $0) } }
  }

  private static func groups(_ plan: StudentModel, _ shape: ModelShape) throws(RecipeError) -> Int {
    let count = plan.keyValueHeads ?? shape.keyValueHeads
    guard (1...shape.keyValueHeads).contains(count) else {
      throw RecipeError(
        "--kv-heads: a layer has \(counted(shape.keyValueHeads, "key/value head")), so \(count) cannot be kept")
    }
    return count
  }

  private static func units(_ plan: StudentModel, of total: Int) throws(RecipeError) -> Int {
    guard let share = plan.feedForwardShare else { return total }
    guard share > 0, share <= 1, total > 0 else {
      throw RecipeError("--ffn-share: must be above 0 up to 1, of a model of the Llama family, not \(JSON.python(share))")
    }
    let rounded = Int((share * Double(total) / 32).rounded()) * 32
    return min(total, max(min(32, total), rounded))
  }

  private static func config(
    _ old: JSON, layers: [Int], heads: Int, groups: Int, units: Int, headSize: Int, _ plan: StudentModel
  ) -> JSON {
    var members = old.object ?? [:]
    members[members["n_layer"] == nil ? "num_hidden_layers" : "n_layer"] = .int(layers.count)
    if let types = members["layer_types"]?.array, let last = layers.last, last < types.count {
      members["layer_types"] = .array(layers.map { types[$0] })
    } else if members["use_sliding_window"]?.bool == true, let first = members["max_window_layers"]?.int {
      // Which layers have a window follows from their numbers, which change.
      members["layer_types"] = .array(layers.map { .string($0 >= first ? "sliding_attention" : "full_attention") })
    }
    if plan.keyValueHeads != nil {
      members["num_attention_heads"] = .int(heads)
      members["num_key_value_heads"] = .int(groups)
      members["head_dim"] = .int(headSize)
    }
    if plan.feedForwardShare != nil { members["intermediate_size"] = .int(units) }
    return .object(members)
  }

  /// The student, with the teacher's numbers.
  ///
  /// - Throws: ``RecipeError`` where a part does not fit; what the operations throw.
  func student(of teacher: ModelWeights) throws -> any CausalLM {
    let student = try ModelLoader.skeleton(ModelConfiguration(config, path: teacher.path))
    let numbers = Dictionary(teacher.model.parameters().map { ($0.path, $0.value) }) { first, _ in first }
    for (path, slot, value) in student.parameters() where !(student.isTied && path == "lm_head.weight") {
      let (source, layer) = original(path)
      guard let found = numbers[source] else { throw RecipeError("\(teacher.path) lacks \(source), which \(path) is made of") }
      let kept = try cut(found, path: source, layer: layer)
      guard kept.shape == value.shape else {
        throw RecipeError("\(source) gives \(path) the shape \(kept.shape), and the student's is \(value.shape)")
      }
      slot.value = try kept.contiguous()
    }
    if student.isTied { student.head = Linear(weight: student.embedding.weight, bias: nil) }
    return student
  }

  /// The path in the teacher of a path in the student, and the layer there; nil outside of layers.
  private func original(_ path: String) -> (path: String, layer: Int?) {
    var parts = path.split(separator: ".").map(String.init)
    guard let place = parts.firstIndex(where: { $0 == "layers" || $0 == "h" }), place + 1 < parts.count,
      let layer = Int(parts[place + 1]), layer < layers.count
    else { return (path, nil) }
    parts[place + 1] = String(layers[layer])
    return (parts.joined(separator: "."), layers[layer])
  }

  /// What is kept of a parameter.
  private func cut(_ value: Tensor, path: String, layer: Int?) throws -> Tensor {
    guard let layer else { return value }
    func takes(_ names: String...) -> Bool { names.contains { path.contains(".\($0).") } }
    func kept(_ places: [Int], _ dimension: Int) throws -> Tensor {
      try value.indexed(dimension, try Tensor(places.map(Int64.init)))
    }
    // The output of a projection, where it is not the layer's, is its rows and its bias.
    if !units.isEmpty {
      if takes("gate_proj", "up_proj") { return try kept(units[layer], 0) }
      if takes("down_proj"), path.hasSuffix(".weight") { return try kept(units[layer], 1) }
    }
    if !groups.isEmpty {
      if takes("k_proj", "v_proj") { return try kept(features(of: groups[layer], width: headSize), 0) }
      if takes("q_proj") { return try kept(features(of: groups[layer], width: headSize * groupSize), 0) }
      if takes("o_proj"), path.hasSuffix(".weight") {
        return try kept(features(of: groups[layer], width: headSize * groupSize), 1)
      }
    }
    return value
  }

  private func features(of parts: [Int], width: Int) -> [Int] { parts.flatMap { Array($0 * width..<($0 + 1) * width) } }
}
