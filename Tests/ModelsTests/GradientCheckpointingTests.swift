import Checkpoints
import NN
import TestSupport
import Testing
import Torch

/// What is computed again in the backward pass gives the losses and gradients of what was kept, to the bit, dropout included.
@Suite struct GradientCheckpointingTests {
  private struct Pass {
    var loss: Tensor
    var gradients: [String: Tensor]
  }

  /// The loss and gradients of one pass over two samples in a flat row.
  private func pass(
    _ name: String, _ mode: GradientCheckpointing, keptIn scratch: ScratchFile? = nil, learns: (String) -> Bool = { _ in true }
  ) throws -> Pass {
    let model = try TinyModels.load(name)
    for (path, _, value) in model.parameters() where learns(path) { try value.setRequiresGradient(true) }
    model.gradientCheckpointing = mode
    model.train()
    try RandomState.seed(5)
    let lengths = [30, 23]
    let tokens = (0..<53).map { Int32(($0 * 37 + 11) % min(model.shape.vocabularySize, 90)) }
    let positions = lengths.flatMap { Array(0..<Int32($0)) }
    let input = try ModelInput(flat: tokens, positions: positions, segments: lengths)
    let states = try scratch.map { try keepingActivations($0.copy) { try model.hidden(input) } } ?? model.hidden(input)
    let loss = try states.squeezed(0).linearCrossEntropy(
      weight: try model.head.denseWeight(), bias: model.head.denseBias, targets: try Tensor(tokens.map(Int64.init)))
    // What is drawn after the forward pass is the same too.
    let after = try Tensor.ones([64]).dropout(0.5)
    try loss.backward()
    var gradients = ["drawn after": after]
    for (path, _, value) in model.parameters() {
      if let gradient = try value.gradient() { gradients[path] = gradient }
    }
    return Pass(loss: try loss.detached(), gradients: gradients)
  }

  private func check(_ actual: Pass, _ expected: Pass) throws {
    #expect(try actual.loss.isEqual(to: expected.loss))
    #expect(Set(actual.gradients.keys) == Set(expected.gradients.keys))
    for (path, gradient) in expected.gradients {
      #expect(try #require(actual.gradients[path]).isEqual(to: gradient), "\(path)")
    }
  }

  @Test(
    arguments: ["gpt2", "llama-tied", "mistral", "qwen2", "qwen3"],
    [GradientCheckpointing.selective, .full, GradientCheckpointing(.full, every: 2)])
  func everythingLearns(name: String, mode: GradientCheckpointing) throws {
    try check(try pass(name, mode), try pass(name, .none))
  }

  /// What is kept in a file gives the same to the bit, and its room is free after the pass.
  @Test(arguments: ["gpt2", "llama-tied", "qwen3"], [GradientCheckpointing.selective, .full])
  func activationsInAFile(name: String, mode: GradientCheckpointing) throws {
    let folder = try TemporaryFolder()
    let scratch = try ScratchFile(in: folder.url)
    try check(try pass(name, mode, keptIn: scratch), try pass(name, mode))
    let size = scratch.byteCount
    #expect(size > 0)
    try check(try pass(name, mode, keptIn: scratch), try pass(name, .none))
    #expect(scratch.byteCount == size)
  }

  @Test func whatLiesElsewhereIsUsedOnce() throws {
    let x = try Tensor.ones([2])
    try x.setRequiresGradient(true)
    var kept: [Tensor] = []
    let out = try keepingActivations {
      kept.append(try $0.detached().clone())
      return kept[kept.count - 1]
    } during: {
      try checkpointed([x], outputs: 1) { (inputs) throws(TorchError) in [try inputs[0] * inputs[0]] }
    }
    // The backward pass reads the copy: d x² / d x = 2·x at 3, not at 1.
    #expect(kept.count == 1)
    try kept[0].fillInPlace(3)
    try out[0].sum().backward()
    #expect(try x.gradient()?.array(Float.self) == [6, 6])
    struct Full: Error {}
    let error = #expect(throws: TorchError.self) {
      try keepingActivations { _ in
        throw Full()
      } during: {
        _ = try checkpointed([x], outputs: 1) { (inputs) throws(TorchError) in [try inputs[0] * 2] }
      }
    }
    #expect(error?.message.contains("activations cannot be kept: Full()") == true)
    let wrong = #expect(throws: TorchError.self) {
      try keepingActivations { _ in
        try .ones([3])
      } during: {
        _ = try checkpointed([x], outputs: 1) { (inputs) throws(TorchError) in [try inputs[0] * 2] }
      }
    }
    #expect(wrong?.message.contains("kept in place of [2]") == true)
  }

  /// Only what a part captures takes gradients: nothing that enters the first layer does.
  @Test(arguments: ["gpt2", "llama-tied"], [GradientCheckpointing.selective, .full])
  func frozenEmbeddings(name: String, mode: GradientCheckpointing) throws {
    let learns = { (path: String) in path.contains(".0.") && path.hasSuffix("weight") && path.contains("mlp") }
    let (own, expected) = (try pass(name, mode, learns: learns), try pass(name, .none, learns: learns))
    #expect(expected.gradients.count > 2)
    try check(own, expected)
  }

  @Test func handlesAreGivenBack() throws {
    _ = try pass("llama-tied", .full)
    let before = Tensor.liveCount
    _ = try pass("llama-tied", .full)
    #expect(Tensor.liveCount == before)
  }

  @Test func errorsOfThePartComeThrough() throws {
    let x = try Tensor.ones([2])
    let error = #expect(throws: TorchError.self) {
      _ = try checkpointed([x], outputs: 1) { (_) throws(TorchError) in
        throw TorchError(operation: "part", message: "no such thing")
      }
    }
    #expect(error?.message == "no such thing")
    var calls = 0
    let out = try checkpointed([x], outputs: 1) { (inputs) throws(TorchError) in
      calls += 1
      if calls > 1 { throw TorchError(operation: "part", message: "only once") }
      return [try inputs[0] * 2]
    }
    let late = #expect(throws: TorchError.self) { try out[0].sum().backward() }
    #expect(late?.message.contains("only once") == true)
    #expect(throws: TorchError.self) { try checkpointed([], outputs: 1) { (inputs) throws(TorchError) in inputs } }
    #expect(throws: TorchError.self) { try checkpointed([x], outputs: 2) { (inputs) throws(TorchError) in [try inputs[0] * 2] } }
  }
}
