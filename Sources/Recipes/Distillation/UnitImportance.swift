import Datasets
import NN
import Torch

/// How much the parts of a model's layers add to what goes through them, measured on text.
///
/// Of a unit j of the feed-forward part it is E[x_j²]·‖W_j‖², with x what enters the last projection W and W_j the column of the unit; of
/// a group g of heads E‖W_g·x_g‖²: the mean square of what the part adds. Activations times weights as in Sun et al.,
/// arXiv:2306.11695; pruning for students as in Muralidharan et al., arXiv:2407.14679.
struct UnitImportance {
  /// Of each unit of each layer's feed-forward part [layers][units].
  let units: [[Float]]
  /// Of each group of heads that share keys and values [layers][groups].
  let groups: [[Float]]

  /// Measures a model of the Llama family on samples, in its own element type.
  ///
  /// - Throws: ``RecipeError`` for another model; what the model throws.
  init(_ model: any CausalLM, samples: [EncodedSample]) throws {
    let projections = model.projections()
    func observed(_ name: String, parts: Int?) throws -> [ObservedProjection] {
      try projections.filter { $0.path.hasSuffix(name) }.map { path, slot in
        let observer = try ObservedProjection(slot.value, parts: parts ?? slot.value.inputSize)
        slot.value = observer
        return observer
      }
    }
    let places = projections.map { ($0.slot, $0.slot.value) }
    defer { for (slot, projection) in places { slot.value = projection } }
    let down = try observed("mlp.down_proj", parts: nil)
    let output = try observed("self_attn.o_proj", parts: model.shape.keyValueHeads)
    guard down.count == model.shape.layerCount, output.count == down.count else {
      throw RecipeError("--ffn-share and --kv-heads are for models of the Llama family, with mlp.down_proj and self_attn.o_proj")
    }
    try withoutGradients { () throws in
      for sample in samples {
        _ = try model.hidden(
          ModelInput(
            flat: sample.ids, positions: sample.ids.indices.map { Int32($0) }, segments: [sample.ids.count], device: model.device)
        )
      }
    }
    units = try down.map { try $0.sums() }
    groups = try output.map { try $0.sums() }
  }

  /// The places of the largest numbers, ascending.
  static func best(_ count: Int, of numbers: [Float]) -> [Int] {
    numbers.indices.sorted { numbers[$0] == numbers[$1] ? $0 < $1 : numbers[$0] > numbers[$1] }.prefix(count).sorted()
  }
}

/// A projection that adds up, for each of equal parts of its input, the squares of what the part puts into its output.
private final class ObservedProjection: Module, Projection {
  private let base: any Projection
  private let parts: Int
  /// W [out, in], float32.
  private let weight: Tensor
  private var sum: Tensor?

  init(_ base: any Projection, parts: Int) throws(TorchError) {
    (self.base, self.parts) = (base, parts)
    weight = try base.denseWeight().to(.float32)
  }

  var inputSize: Int { base.inputSize }
  var outputSize: Int { base.outputSize }
  var storesTransposed: Bool { base.storesTransposed }
  var denseBias: Tensor? { base.denseBias }
  func denseWeight() throws(TorchError) -> Tensor { try base.denseWeight() }
  func replacing(weight: Tensor, bias: Tensor?) throws(TorchError) -> any Projection {
    try base.replacing(weight: weight, bias: bias)
  }

  func forward(_ x: Tensor) throws(TorchError) -> Tensor {
    let added = try squares(of: try x.reshaped(-1, inputSize).to(.float32))
    sum = if let sum { try sum + added } else { added }
    return try base.forward(x)
  }

  /// [parts] of rows [N, in].
  private func squares(of rows: Tensor) throws(TorchError) -> Tensor {
    // A single feature's part is its column times a number.
    guard parts < inputSize else { return try (rows * rows).sum(0) * (weight * weight).sum(0) }
    let width = inputSize / parts
    var each: [Tensor] = []
    for part in 0..<parts {
      let columns = part * width..<(part + 1) * width
      let added = try rows.narrowed(1, columns).linear(try weight.narrowed(1, columns), nil)
      each.append(try (added * added).sum())
    }
    return try .stacked(each)
  }

  func sums() throws(TorchError) -> [Float] { try sum?.array(Float.self) ?? Array(repeating: 0, count: parts) }
}
