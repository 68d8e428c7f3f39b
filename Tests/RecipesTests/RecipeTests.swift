import Datasets
import Foundation
import NN
import Objectives
import OrderedCollections
import Testing
import Torch
import Training
import Tuners

@testable import Recipes

@Suite struct RecipeTests {
  static let full = """
    model: smollm2-135m-instruct
    method: { type: lora, r: 16, alpha: 32, dropout: 0.05, target_modules: [q_proj, v_proj], rank_pattern: { "layers.0.*": 4 } }
    objective: { type: sft }
    data:
      train:
        - a.jsonl
        - { path: b.csv, weight: 0.5, format: alpaca }
      eval: c.jsonl
      max_length: 256
      packing: true
      truncation: keep-end
    train:
      epochs: 3
      batch_size: 4
      gradient_accumulation: 2
      learning_rate: 2e-4
      schedule: { type: cosine, warmup_ratio: 0.03 }
      optimizer: { type: adamw, weight_decay: 0.1 }
      max_grad_norm: 0.5
      dtype: bf16
      seed: 7
      log_every: 5
      eval_every: 100
      save_every: 500
      early_stopping: { patience: 2 }
    output: runs/x
    """

  @Test func everyKeyArrives() throws {
    let recipe = try Recipe(Self.full)
    #expect(recipe.model == "smollm2-135m-instruct" && recipe.output == "runs/x" && recipe.objective.objective.name == "sft")
    let lora = try #require(recipe.method.settings as? LoRAConfiguration)
    #expect(lora.r == 16 && lora.alpha == 32 && lora.dropout == 0.05 && lora.rankPattern == ["layers.0.*": 4])
    #expect(lora.targets == .names(["q_proj", "v_proj"]))
    #expect(recipe.data.train.map(\.path) == ["a.jsonl", "b.csv"] && recipe.data.train[1].weight == 0.5)
    #expect(recipe.data.encoding.maxLength == 256 && recipe.data.packing && recipe.data.encoding.truncation == .keepEnd)
    let train = recipe.train
    #expect(train.epochs == 3 && train.batchSize == 4 && train.options.gradientAccumulation == 2)
    #expect(train.options.learningRate == 2e-4 && train.options.schedule == .cosine && train.options.warmupRatio == 0.03)
    #expect(train.options.optimizer.method.weightDecay == 0.1 && train.options.maxGradientNorm == 0.5 && train.options.seed == 7)
    #expect(train.model.dtype == .bfloat16 && train.options.earlyStopping?.patience == 2)
  }

  @Test func theResolvedTextReadsBackToItself() throws {
    let recipe = try Recipe(Self.full)
    #expect(try Recipe(recipe.yaml).yaml == recipe.yaml)
    let short = try Recipe("model: m\ndata: { train: a.jsonl }\noutput: o")
    #expect(try Recipe(short.yaml).yaml == short.yaml)
  }

  @Test(arguments: [
    ("dora", "use_dora: true"), ("lora_plus", "loraplus_lr_ratio: 16"), ("pissa", "init_lora_weights: \"pissa\""),
    ("lora_fa", "freeze_a: true"), ("adalora", "target_r: 8"), ("vera", "r: 256"), ("loha", "rank_dropout: 0"),
    ("lokr", "decompose_factor: -1"), ("ia3", "feedforward_modules: [\"down_proj\""), ("ln_tuning", "\"ln_f\""),
    ("full", "trainable: [\"all\"]"), ("bitfit", "trainable: [\"biases\"]"), ("rslora", "use_rslora: true"), ("lora", "r: 8"),
    ("olora", "init_lora_weights: \"olora\""),
  ])
  func everyMethodIsReadAndWritten(_ name: String, _ line: String) throws {
    let recipe = try Recipe("model: m\nmethod: \(name)\ndata: { train: a.jsonl }\noutput: o")
    #expect(recipe.yaml.contains(line))
    #expect(try Recipe(recipe.yaml).yaml == recipe.yaml)
  }

  @Test(arguments: [
    ("{ type: ia3, r: 4 }", "“method.r” is no key"), ("{ type: adalora, target_r: 20 }", "target_r is 20, more than init_r 12"),
    ("{ type: trainable_tokens }", "token_indices is missing"), ("{ type: vera, drpout: 0.1 }", "did you mean “method.dropout”"),
    ("{ type: lokrr }", "did you mean “lokr”"), ("{ type: lora, rank_pattern: { q_proj: 0.5 } }", "whole numbers from 1"),
    ("{ type: lora, alpha_pattern: { q_proj: high } }", "must give numbers, not “high”"),
  ])
  func whatIsWrongInAMethodIsNamed(_ method: String, _ expected: String) {
    let text = "model: m\nmethod: \(method)\ndata: { train: a.jsonl }\noutput: o"
    #expect { try Recipe(text, file: "r.yaml") } throws: { "\($0)".contains(expected) && "\($0)".contains("r.yaml") }
  }

  @Test(arguments: [
    (
      "adamw_8bit",
      "type: \"adamw\", weight_decay: 0, beta1: 0.9, beta2: 0.999, eps: 1e-08, optim_bits: 8, min_8bit_size: 4096, is_paged: false"
    ),
    ("paged_adamw", "is_paged: true"), ("paged_adamw_8bit", "optim_bits: 8, min_8bit_size: 4096, is_paged: true"),
    ("{ type: adamw, optim_bits: 8, min_8bit_size: 64 }", "optim_bits: 8, min_8bit_size: 64"),
    ("{ type: adafactor, relative_step: true, warmup_init: true }", "relative_step: true, warmup_init: true"),
    ("{ type: adafactor, beta1: 0.9, eps2: 0.01 }", "beta1: 0.9"),
    ("lion", "type: \"lion\", weight_decay: 0, beta1: 0.9, beta2: 0.99"),
    ("paged_lion_8bit", "type: \"lion\""),
    ("{ type: sgd, momentum: 0.9, nesterov: true }", "momentum: 0.9, dampening: 0, nesterov: true"),
    ("{ type: galore_adamw, rank: 4, proj_type: left, optim_target_modules: [mlp] }", "optim_target_modules: [\"mlp\"]"),
    (
      "{ lr_scale_pattern: { embed_tokens: 0.1 }, weight_decay_pattern: { norm: 0 } }",
      "lr_scale_pattern: {\"embed_tokens\":0.1}, weight_decay_pattern: {\"norm\":0}"
    ),
    ("{ page_folder: /scratch, stochastic_rounding: false }", "stochastic_rounding: false, page_folder: \"/scratch\""),
  ])
  func everyOptimizerIsReadAndWritten(_ optimizer: String, _ line: String) throws {
    let recipe = try Recipe("model: m\ndata: { train: a.jsonl }\ntrain: { optimizer: \(optimizer) }\noutput: o")
    #expect(recipe.yaml.contains(line), "\(recipe.yaml)")
    #expect(try Recipe(recipe.yaml).yaml == recipe.yaml)
  }

  @Test(arguments: [
    ("optimizer: adamw_8bits", "did you mean “adamw_8bit”"), ("optimizer: { type: adamw, optim_bits: 16 }", "must be 8 or 32"),
    ("optimizer: { type: sgd, beta1: 0.9 }", "“train.optimizer.beta1” is no key"),
    ("optimizer: { type: sgd, nesterov: true }", "momentum above 0"),
    ("optimizer: { type: adafactor, warmup_init: true }", "needs relative_step"),
    ("learning_rate: 1e-3, optimizer: { type: adafactor, relative_step: true }", "“train.learning_rate” counts for nothing"),
    ("optimizer: { lr_scale_pattern: { '(': 1 } }", "lr_scale_pattern"),
    ("optimizer: { weight_decay_pattern: { a: -1 } }", "from 0"),
    ("max_grad_norm: 0, optimizer: { in_backward: true }", "for methods that tune the model's own weights"),
    ("optimizer: { in_backward: true }", "set max_grad_norm to 0"),
    ("gradient_accumulation: 2, max_grad_norm: 0, optimizer: { in_backward: true }", "set gradient_accumulation to 1"),
  ])
  func whatIsWrongInAnOptimizerIsNamed(_ train: String, _ expected: String) {
    let text = "model: m\ndata: { train: a.jsonl }\ntrain: { \(train) }\noutput: o"
    #expect { try Recipe(text, file: "r.yaml") } throws: { "\($0)".contains(expected) && "\($0)".contains("r.yaml") }
  }

  @Test(arguments: [
    ("full", GradientCheckpointing.full), ("{ every: 3 }", GradientCheckpointing(.full, every: 3)),
    ("{ type: selective, every: 2 }", GradientCheckpointing(.selective, every: 2)), ("none", .none),
  ])
  func whatIsComputedAgainIsReadAndWritten(_ text: String, _ expected: GradientCheckpointing) throws {
    let recipe = try Recipe("model: m\ndata: { train: a.jsonl }\ntrain: { gradient_checkpointing: \(text) }\noutput: o")
    #expect(recipe.train.options.gradientCheckpointing == expected)
    #expect(try Recipe(recipe.yaml).train.options.gradientCheckpointing == expected)
  }

  @Test func theOrderOfBatchesIsChosenByThreeKeys() throws {
    for (text, order) in [
      ("", BatchPlan.Order.shuffled), ("balance: true", .balanced), ("balance: false", .shuffled),
      ("shuffle: false", .sequential),
      ("shuffle: false, balance: true", .sequential), ("group_by_length: true", .grouped),
      ("group_by_length: true, shuffle: false, balance: false", .grouped),
    ] {
      let recipe = try Recipe("model: m\ndata: { train: a.jsonl\(text.isEmpty ? "" : ", " + text) }\noutput: o")
      #expect(recipe.data.order == order)
      #expect(try Recipe(recipe.yaml).data.order == order)
    }
    #expect(try Recipe("model: m\ndata: { train: a.jsonl }\noutput: o").data.usesCache)
    let without = try Recipe("model: m\ndata: { train: a.jsonl, cache: false }\noutput: o")
    #expect(!without.data.usesCache)
    #expect(try !Recipe(without.yaml).data.usesCache)
  }

  @Test func keysAreSetFromTheCommandLine() throws {
    let recipe = try Recipe(
      Self.full,
      overrides: ["train.learning_rate=1e-5", "method.target_modules=all-linear", "data.eval_split=0.1", "data.eval=null"])
    #expect(recipe.train.options.learningRate == 1e-5)
    #expect((recipe.method.settings as? LoRAConfiguration)?.targets == .allLinear)
    #expect(recipe.data.evalSplit == 0.1 && recipe.data.eval.isEmpty)
    #expect { try Recipe(Self.full, overrides: ["train.learning_rate"]) } throws: { "\($0)".contains("key.path=value") }
    #expect { try Recipe(Self.full, overrides: ["train.lerning_rate=1"]) } throws: { "\($0)".contains("train.learning_rate") }
  }

  @Test(arguments: [
    ("train.max_steps=abc", "--set train.max_steps=abc: “train.max_steps” must be a whole number"),
    ("train=3", "--set train=3: “train” must hold keys"), ("train.schedule=cosin", "--set train.schedule=cosin: "),
    ("train.lerning_rate=1", "--set train.lerning_rate=1: "),
    ("train.seed.x=1", "--set train.seed.x=1: “train.seed” holds no keys of its own"),
    ("data.train.0.path=x", "“data.train” holds no keys of its own"), ("output.a.b=1", "“output” holds no keys of its own"),
    ("train.max_steps=[", "--set train.max_steps=[: the value is not YAML"), ("=3", "a part of the key is empty"),
  ])
  func whatIsWrongInASettingIsNamedWithIt(_ setting: String, _ expected: String) {
    #expect { try Recipe(Self.full, file: "r.yaml", overrides: [setting]) } throws: { error in
      "\(error)".contains(expected) && !"\(error)".contains("r.yaml")
    }
  }

  /// A setting below a key written in short would lose what the short form says.
  @Test func aSettingDoesNotReplaceAShortForm() throws {
    let text = Self.full.replacing("{ type: cosine, warmup_ratio: 0.03 }", with: "cosine")
    #expect { try Recipe(text, overrides: ["train.schedule.warmup_ratio=0.1"]) } throws: { "\($0)".contains("as a whole") }
    let whole = try Recipe(text, overrides: ["train.schedule={type: cosine, warmup_ratio: 0.1}"])
    #expect(whole.train.options.schedule == .cosine && whole.train.options.warmupRatio == 0.1)
  }

  @Test(arguments: [
    ("learning_rate: 2e-4", "learning_rte: 2e-4", "did you mean “train.learning_rate”"),
    ("batch_size: 4", "batch_size: many", "“train.batch_size” must be a whole number"),
    ("batch_size: 4", "batch_size: 0", "from 1"),
    ("type: cosine", "type: cosin", "did you mean “cosine”"),
    ("type: lora", "type: lorra", "did you mean “lora”"),
    ("r: 16", "rank: 16", "“method.rank” is no key"),
    ("dropout: 0.05", "dropout: 1.5", "“method.dropout”"),
    ("packing: true", "packing: perhaps", "true or false"),
    ("dtype: bf16", "dtype: fp8", "known are f32, bf16, auto"),
    ("output: runs/x", "outptu: runs/x", "did you mean “output”"),
    ("model: smollm2-135m-instruct", "modle: x", "did you mean “model”"),
    ("  max_length: 256", "  max_length: 256\n  eval_split: 0.1", "eval_split"),
    ("format: alpaca", "format: alpacca", "did you mean “alpaca”"),
    ("seed: 7", "seed: 7\n  seed: 8", "“seed” is given twice"),
  ])
  func whatIsWrongIsNamedWithItsLine(_ right: String, _ wrong: String, _ expected: String) throws {
    let text = Self.full.replacing(right, with: wrong)
    #expect(text != Self.full)
    #expect { try Recipe(text, file: "r.yaml") } throws: { error in
      "\(error)".contains(expected) && "\(error)".contains("r.yaml")
    }
  }

  @Test(arguments: ["", "[]", "a", "model: [", "model: x\ndata: 3\noutput: y", "\u{0}", "model: &a [*a]", "? {a: b} : c"])
  func oddTextsAreRefused(_ text: String) { #expect(throws: RecipeError.self) { try Recipe(text) } }

  @Test func aThousandDamagedRecipesNeverCrash() {
    var generator = SplitMix64(seed: 11)
    let original = Array(Self.full.utf8)
    var (read, refused) = (0, 0)
    for _ in 0..<1000 {
      var bytes = original
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
        case 1: bytes.remove(at: place)
        case 2: bytes.insert(contentsOf: bytes[place..<min(place + 20, bytes.count)], at: place)
        default: bytes.removeLast(min(bytes.count - 1, Int.random(in: 0..<40, using: &generator)))
        }
      }
      guard let text = String(validating: bytes, as: UTF8.self) else { continue }
      do {
        _ = try Recipe(text)
        read += 1
      } catch {
        #expect(!"\(error)".isEmpty)
        refused += 1
      }
    }
    #expect(read > 0 && refused > 300)
  }

  @Test func theNearestNameIsFound() {
    #expect(nearestName(to: "lr_rate", among: ["learning_rate", "batch_size"]) == nil)
    #expect(nearestName(to: "learnign_rate", among: ["learning_rate", "batch_size"]) == "learning_rate")
    #expect(editDistance("ab", "ba") == 1 && editDistance("kitten", "sitting") == 3 && editDistance("", "abc") == 3)
  }
}
