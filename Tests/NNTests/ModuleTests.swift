import NN
import TestSupport
import Testing
import Torch

private class Block: Module {
  @Projected("q_proj") var proj: any Projection
  @Child("norm") var norm: RMSNorm

  init(size: Int) throws {
    super.init()
    proj = try Linear(size, size, bias: true)
    norm = try RMSNorm(size, eps: 1e-5)
  }
}

private final class WideBlock: Block {
  @Param("scale") var scale: Tensor?
  @OptionalChild("extra") var extra: RMSNorm?
  @NamedChildren("deltas", asModule: { $0 }) var deltas: [(name: String, module: Linear)]
}

private final class Model: Module {
  @Child("embed_tokens") var table: Embedding
  @Children("layers") var layers: [Block]
  @Projected("lm_head") var head: any Projection

  init(tied: Bool) throws {
    super.init()
    table = try Embedding(5, 4)
    layers = [try Block(size: 4), try WideBlock(size: 4)]
    let dense = try Linear(4, 5, bias: false)
    if tied { dense.weight = table.weight }
    head = dense
  }
}

/// The tree of modules: paths, order, optional parameters, counting, freezing, training mode, replacing.
@Suite struct ModuleTests {
  @Test func pathsAreCheckpointKeysInOrder() throws {
    let model = try Model(tied: false)
    #expect(
      model.parameters().map(\.path) == [
        "embed_tokens.weight",
        "layers.0.q_proj.weight", "layers.0.q_proj.bias", "layers.0.norm.weight",
        "layers.1.q_proj.weight", "layers.1.q_proj.bias", "layers.1.norm.weight",
        "lm_head.weight",
      ])
    #expect(model.projections().map(\.path) == ["layers.0.q_proj", "layers.1.q_proj", "lm_head"])
    var parts: [String] = []
    model.visit { path, slot in if slot.parameter == nil { parts.append(path) } }
    #expect(
      parts == [
        "embed_tokens", "layers.0", "layers.0.q_proj", "layers.0.norm", "layers.1", "layers.1.q_proj", "layers.1.norm", "lm_head",
      ])
    #expect(model.layers[1].slots.count == 5, "a base class's slots come with the subclass's")
  }

  @Test func optionalParametersAppearWhenTheyAreThere() throws {
    let model = try Model(tied: false)
    let wide = try #require(model.layers[1] as? WideBlock)
    #expect(wide.scale == nil && wide.extra == nil && wide.deltas.isEmpty)
    wide.scale = try Tensor.ones([2])
    #expect(model.parameters().map(\.path).contains("layers.1.scale"))
    wide.scale = nil
    var empty: [String] = []
    model.visit { path, slot in if let parameter = slot.parameter, parameter.value == nil { empty.append(path) } }
    #expect(empty == ["layers.1.scale", "lm_head.bias"], "a walk sees the places of absent parameters")
  }

  @Test func optionalAndNamedModules() throws {
    let model = try Model(tied: false)
    let wide = try #require(model.layers[1] as? WideBlock)
    wide.extra = try RMSNorm(4, eps: 1e-5)
    wide.deltas = [("second", try Linear(4, 4, bias: false)), ("first", try Linear(4, 4, bias: false))]
    let paths = model.parameters().map(\.path).filter { $0.hasPrefix("layers.1") }
    #expect(
      paths.suffix(3) == ["layers.1.extra.weight", "layers.1.deltas.second.weight", "layers.1.deltas.first.weight"])
    wide.extra = nil
    wide.deltas = []
    #expect(model.parameters().count == 8)
  }

  @Test func replacedParametersDoNotKeepTheOldOnes() async {
    await #expect(processExitsWith: .success) { try countReplaced() }
  }

  @Test func countingTiedWeightsOnce() throws {
    #expect(try Model(tied: false).parameterCount() == (20 + 2 * (16 + 4 + 4) + 20, 0))
    let tied = try Model(tied: true)
    #expect(tied.parameterCount() == (20 + 2 * (16 + 4 + 4), 0))
    try tied.table.weight.setRequiresGradient(true)
    #expect(tied.parameterCount().trainable == 20)
    #expect(tied.trainableParameters().map(\.path) == ["embed_tokens.weight", "lm_head.weight"])
  }

  @Test func viewsOfOneMemoryAreParametersOfTheirOwn() throws {
    let model = try Model(tied: false)
    let fused = try Tensor.zeros([8, 4])
    model.layers[0].proj = Linear(weight: try fused.narrowed(0, 0..<4), bias: nil)
    model.layers[1].proj = Linear(weight: try fused.narrowed(0, 4..<8), bias: nil)
    #expect(model.parameterCount().total == 20 + 2 * (16 + 4) + 20)
  }

  @Test func freezing() throws {
    let model = try Model(tied: true)
    for parameter in model.parameters() { try parameter.value.setRequiresGradient(true) }
    #expect(model.trainableParameters().count == 8)
    try model.freeze()
    #expect(model.trainableParameters().isEmpty)
  }

  @Test func trainingModeReachesEveryModule() throws {
    let model = try Model(tied: false)
    func modes() -> Set<Bool> {
      var found: Set<Bool> = [model.isTraining]
      model.visit { _, slot in found.formUnion(slot.children.map(\.module.isTraining)) }
      return found
    }
    #expect(modes() == [false])
    model.train()
    #expect(modes() == [true])
    model.train(false)
    #expect(modes() == [false])
  }

  @Test func projectionsAreReplacedInPlace() throws {
    let model = try Model(tied: false)
    try fill(model)
    let (path, slot) = try #require(model.projections().first)
    #expect(path == "layers.0.q_proj")
    let weight = try Tensor.pattern([4, 4], seed: 5)
    slot.value = try slot.value.replacing(weight: weight, bias: nil)
    #expect(model.parameters().map(\.path).filter { $0.hasPrefix("layers.0.q_proj") } == ["layers.0.q_proj.weight"])
    let x = try Tensor.pattern([2, 4], seed: 6)
    try assertClose(try model.layers[0].proj.forward(x), try x.matmul(try weight.transposed()))
  }

  @Test func fillingIsTheSameEverywhere() throws {
    let (one, other) = (try Model(tied: false), try Model(tied: false))
    try fill(one)
    try fill(other)
    for (a, b) in zip(one.parameters(), other.parameters()) {
      try assertClose(a.value, b.value, relative: 0, absolute: 0, a.path)
    }
    let gain = try one.layers[0].norm.weight.mean().item()
    #expect(abs(gain - 1) < 0.2)
    let (first, second) = (one.layers[0].proj, one.layers[1].proj)
    #expect(try !first.denseWeight().isEqual(to: second.denseWeight()), "two places, two patterns")
  }
}

private func countReplaced() throws {
  let start = Tensor.liveCount
  let norm = try RMSNorm(4, eps: 1e-5)
  #expect(Tensor.liveCount == start + 1)
  norm.weight = try .ones([4])
  #expect(Tensor.liveCount == start + 1)
}

/// The dense projections.
@Suite struct ProjectionTests {
  @Test func conv1DKeepsItsWeightTheOtherWayRound() throws {
    let (x, weight, bias) = (
      try Tensor.pattern([2, 3, 4]), try Tensor.pattern([4, 6], seed: 1), try Tensor.pattern([6], seed: 2)
    )
    let stored = try Conv1D(4, 6)
    (stored.weight, stored.bias) = (weight, bias)
    #expect(stored.inputSize == 4 && stored.outputSize == 6 && stored.storesTransposed)
    try assertClose(try stored.forward(x), try x.matmul(weight) + bias)
    try assertClose(try stored.denseWeight(), try weight.transposed(), relative: 0, absolute: 0)
    let dense = try stored.denseWeight()
    let doubled = try stored.replacing(weight: try dense * 2, bias: stored.denseBias)
    #expect(doubled is Conv1D)
    try assertClose(try doubled.forward(x), (try x.matmul(try weight * 2)) + bias)
    #expect(stored.weight.isSameMemory(as: weight), "the first is as it was")
  }

  @Test func linearKeepsItsWeightAsItIs() throws {
    let (x, weight) = (try Tensor.pattern([2, 4]), try Tensor.pattern([6, 4], seed: 1))
    let linear = Linear(weight: weight, bias: nil)
    #expect(linear.inputSize == 4 && linear.outputSize == 6 && !linear.storesTransposed && linear.denseBias == nil)
    try assertClose(try linear.forward(x), try x.matmul(try weight.transposed()))
    let other = try linear.replacing(weight: try weight * 3, bias: try .ones([6]))
    try assertClose(try other.forward(x), (try x.matmul(try weight.transposed())) * 3 + 1)
  }

  @Test func weightsOfImpossibleShapeAreErrorsNotTraps() throws {
    let linear = Linear(weight: try Tensor([1] as [Float], shape: []), bias: nil)
    #expect(linear.inputSize == 0 && linear.outputSize == 0)
    #expect(throws: TorchError.self) { try linear.forward(try .ones([2, 4])) }
  }
}
