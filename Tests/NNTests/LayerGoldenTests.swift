import NN
import TestSupport
import Testing
import Torch

/// Layers against Hugging Face's and torch's, values and gradients (`Tests/Goldens/layers`).
@Suite struct LayerGoldenTests {
  @Test func norms() throws {
    let golden = try GoldenTensors("layers/norms.safetensors")
    for (group, eps) in [("rms_norm_eps1e-5", 1e-5), ("rms_norm_eps1e-2_small_input", 1e-2)] {
      try golden.check(group, ["input", "weight"]) { inputs in
        let norm = try RMSNorm(24, eps: eps)
        norm.weight = inputs[1]
        return try norm.forward(inputs[0])
      }
    }
    try golden.check("layer_norm_eps1e-5", ["input", "weight", "bias"]) { inputs in
      let norm = try LayerNorm(24, eps: 1e-5)
      (norm.weight, norm.bias) = (inputs[1], inputs[2])
      return try norm.forward(inputs[0])
    }
  }

  @Test(arguments: ["gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "silu", "relu"]) func activations(name: String) throws
  {
    let golden = try GoldenTensors("layers/activations.safetensors")
    let activation = try #require(Activation(rawValue: name))
    try golden.check(name, ["input"]) { try activation($0[0]) }
    let (x, up) = (try golden["\(name).input"], try Tensor.pattern([101], scale: 2))
    let gated = try golden["\(name).output"] * up
    try assertClose(try activation.gate(x, up), gated, absolute: 2e-6, "act(x)·up")
  }

  @Test func namesOfTheSameFunction() throws {
    let x = try Tensor.pattern([64], scale: 5)
    for (one, other) in [(Activation.silu, Activation.swish), (.geluNew, .geluFast), (.geluNew, .geluTanh)] {
      try assertClose(try one(x), try other(x), relative: 0, absolute: 0)
    }
    try assertClose(try Activation.tanh(x), try x.tanh(), relative: 0, absolute: 0)
  }

  @Test func gatedFeedForward() throws {
    let golden = try GoldenTensors("layers/swiglu.safetensors")
    let parts = ["gate_proj", "up_proj", "down_proj"]
    let names = ["input"] + parts.flatMap { ["\($0)_weight", "\($0)_bias"] }
    try golden.check("swiglu", names) { inputs in
      let (gate, up) = (Linear(weight: inputs[1], bias: inputs[2]), Linear(weight: inputs[3], bias: inputs[4]))
      let down = Linear(weight: inputs[5], bias: inputs[6])
      let inner = try Activation.silu.gate(try gate.forward(inputs[0]), try up.forward(inputs[0]))
      return try down.forward(inner)
    }
  }

  @Test func crossEntropy() throws {
    let golden = try GoldenTensors("layers/cross_entropy.safetensors")
    let targets = try golden["targets"]
    let kept = try targets.array(Int64.self).indices.filter { try targets.array(Int64.self)[$0] >= 0 }
    let rows = try Tensor(kept.map(Int64.init))
    let wanted = try targets.indexed(0, rows)
    // An identity head makes hidden features and logits the same.
    let head = try Tensor((0..<17 * 17).map { Float($0 % 18 == 0 ? 1 : 0) }, shape: [17, 17])
    for (group, divisor) in [("sum", 1.0), ("mean", Double(kept.count))] {
      try golden.check(group, ["logits"]) { inputs in
        let loss = try inputs[0].indexed(0, rows).linearCrossEntropy(weight: head, targets: wanted, chunk: 3)
        return try loss / divisor
      }
    }
    let each = try golden["sum.logits"].indexed(0, rows).tokenLogProbs(wanted)
    try assertClose(try -each, try golden["none.output"].indexed(0, rows))
    try assertClose(try golden["sum.logits"].logSoftmax(), try golden["log_softmax.output"])
  }

  /// Goldens hold [B, H, S, D]; layers here take [B, S, H, D].
  private static func attend(_ plan: AttentionPlan, _ inputs: [Tensor]) throws -> Tensor {
    let (q, k, v) = (try inputs[0].transposed(1, 2), try inputs[1].transposed(1, 2), try inputs[2].transposed(1, 2))
    return try plan.attend(q, k, v, scale: 1 / 8.0.squareRoot()).transposed(1, 2)
  }

  @Test func attention() throws {
    let golden = try GoldenTensors("layers/attention.safetensors")
    let names = ["query", "key", "value"]
    let full = try AttentionPlan(.causal, queries: 6, past: 0)
    try golden.check("causal", names) { try Self.attend(full, $0) }
    let window = try AttentionPlan(.causal, queries: 6, past: 0, window: 3)
    try golden.check("window_3", names) { try Self.attend(window, $0) }
    let real = try Tensor([false] + [Bool](repeating: true, count: 11), shape: [2, 6])
    let padded = try AttentionPlan(.padded(real: real), queries: 6, past: 0)
    try golden.check("key_0_masked", names) { try Self.attend(padded, $0) }
  }

  @Test func attentionOfFlatRows() throws {
    let golden = try GoldenTensors("layers/attention.safetensors")
    for (group, window) in [("causal", nil), ("window_3", 3)] as [(String, Int?)] {
      let plan = try AttentionPlan(.segments([6, 6]), queries: 12, past: 0, window: window)
      try golden.check(group, ["query", "key", "value"]) { inputs in
        let flat = try inputs.map { try $0.transposed(1, 2).reshaped(1, 12, -1, 8) }
        let out = try plan.attend(flat[0], flat[1], flat[2], scale: 1 / 8.0.squareRoot())
        return try out.reshaped(2, 6, 4, 8).transposed(1, 2)
      }
    }
  }
}
