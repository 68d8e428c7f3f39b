import Checkpoints
import Datasets
import Foundation
import NN
import Objectives
import TestSupport
import Torch
import Training

@testable import Tuners

/// A method as the conformance suite takes it.
struct MethodRow: Sendable {
  /// What it is called in the table.
  let name: String
  /// Its settings for tests, on the tiny models.
  let settings: any TuningMethod
  /// What cannot hold of it, with the reason.
  var exceptions: [Behaviour: String] = [:]
  /// The model most behaviours are tried on.
  var model = "llama-tied"
  /// The models it is tried on.
  var models = ["gpt2", "llama", "qwen2", "qwen3"]
  /// The learning rate of its trial runs.
  var rate = 1e-2

  private static let ownWeights = "the model's own numbers are trained, which have to be dense"
  private static let ownParameters = "two would replace the same parameters, which is refused"

  private static func lora(_ change: (inout LoRAConfiguration) -> Void = { _ in }) -> LoRAConfiguration {
    var settings = LoRAConfiguration()
    (settings.r, settings.alpha, settings.dropout) = (4, 8, 0.1)
    change(&settings)
    return settings
  }

  static var all: [MethodRow] { low + others + prompts + bottlenecks }

  private static var low: [MethodRow] {
    var adalora = AdaLoRAConfiguration()
    (adalora.initialRank, adalora.targetRank, adalora.interval, adalora.dropout) = (6, 3, 2, 0.1)
    var vera = VeRAConfiguration()
    (vera.r, vera.dropout) = (16, 0.1)
    return [
      MethodRow(name: "lora", settings: lora()), MethodRow(name: "rslora", settings: lora { $0.usesRankStabilizedScale = true }),
      MethodRow(name: "dora", settings: lora { $0.usesDoRA = true }),
      MethodRow(name: "pissa", settings: lora { $0.initialization = .pissa }),
      MethodRow(name: "olora", settings: lora { ($0.initialization, $0.alpha) = (.olora, 4) }),
      MethodRow(name: "lora+", settings: lora { $0.rateRatio = 4 }),
      MethodRow(name: "lora-fa", settings: lora { $0.freezesA = true }),
      MethodRow(
        name: "lora (tables)", settings: lora { $0.targets = .pattern(#".*(embed_tokens|wte|q_proj|c_attn|lm_head)"#) }),
      MethodRow(name: "adalora", settings: adalora), MethodRow(name: "vera", settings: vera, rate: 5e-2),
    ]
  }

  private static var others: [MethodRow] {
    var loha = LoHaConfiguration()
    (loha.r, loha.alpha) = (4, 8)
    var lokr = LoKrConfiguration()
    (lokr.r, lokr.alpha, lokr.decomposesBoth) = (2, 4, true)
    var tokens = TrainableTokensConfiguration()
    tokens.tokens = TokenIndices(table: [5, 9, 11, 40])
    return [
      MethodRow(name: "loha", settings: loha), MethodRow(name: "lokr", settings: lokr),
      MethodRow(name: "ia3", settings: IA3Configuration(), rate: 5e-2),
      MethodRow(name: "ln_tuning", settings: LNTuningConfiguration(), exceptions: [.twoAtOnce: ownParameters], rate: 5e-2),
      MethodRow(name: "trainable_tokens", settings: tokens, exceptions: [.twoAtOnce: ownParameters], rate: 5e-2),
      MethodRow(
        name: "full", settings: FullConfiguration(),
        exceptions: [
          .disabled: "the base's numbers are not kept", .twoAtOnce: ownParameters, .unmerge: "the base's numbers are not kept",
          .quantized: ownWeights,
        ]),
      MethodRow(
        name: "full (partial)", settings: FullConfiguration(trainable: ["norms", "last-1-layers"]),
        exceptions: [.twoAtOnce: ownParameters, .quantized: ownWeights]),
      MethodRow(
        name: "bitfit", settings: FullConfiguration(trainable: ["biases"]),
        exceptions: [.twoAtOnce: ownParameters, .quantized: ownWeights],
        model: "llama-bias", models: ["gpt2", "llama-bias", "qwen2"]),
    ]
  }
}

/// What every method has to do.
enum Behaviour: String, CaseIterable {
  case identity = "starts as base"
  case onlyOwn = "trains its own"
  case gradients = "each learns"
  case lossFalls = "loss falls"
  case merge = "merged = not"
  case unmerge = "base stays"
  case disabled = "off = base"
  case saveLoad = "save, load"
  case twoAtOnce = "two at once"
  case resume = "resume exact"
  case architectures = "models"
  case packing = "packing"
  case checkpointing = "checkpointing"
  case bfloat16 = "bf16 base"
  case quantized = "nf4 base"
}
