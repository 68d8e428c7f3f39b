import ArgumentParser
import Checkpoints
import Datasets
import Foundation
import NN
import Recipes
import Text
import Tuners

/// `attune bench train`, or `attune bench` alone: training steps.
struct BenchTrain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Measure training steps of a recipe, or of a model on random tokens.",
    discussion: """
      A step is batch, forward, backward, clipping and optimizer, as a run takes it.

      Example:
        attune bench --config gpt2-124m --batch-size 2 --length 1024 --dtype bf16
      """)

  @Argument(help: "The recipe, a YAML file; else give --model or --config.", completion: .file(extensions: ["yaml", "yml"]))
  var recipe: String?

  @Option(name: .customLong("set"), parsing: .unconditionalSingleValue, help: "Set a key of the recipe: key.path=value.")
  var settings: [String] = []

  @OptionGroup var model: BenchModelArguments
  @OptionGroup var weights: QuantizationArguments

  @Option(help: "What is tuned: lora, or full for every parameter.")
  var method = TrainingBench.Method.lora

  @Option(help: ArgumentHelp("The rank of LoRA.", valueName: "r"))
  var rank = 8

  @Option(help: ArgumentHelp("The share of inputs that LoRA drops.", valueName: "p"))
  var dropout = 0.05

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("What LoRA adapts (default: q_proj v_proj, in GPT-2 c_attn).", valueName: "name"))
  var targetModules: [String] = []

  @Option(help: "What is computed again in the backward pass instead of being kept: none, selective, full.")
  var gradientCheckpointing = GradientCheckpointing.Part.none

  @Flag(help: "Keep what is kept of such layers in a file, not in memory.")
  var activationOffloading = false

  @Option(help: ArgumentHelp("Samples in a step.", valueName: "n"))
  var batchSize = 4

  @Option(help: ArgumentHelp("Tokens of a random sample.", valueName: "n"))
  var length = 256

  @Option(
    help: ArgumentHelp(
      "Samples to train on in place of random ones: a line has “tokens”, and “trained” where not all are.",
      valueName: "file"))
  var samples: String?

  @Option(help: ArgumentHelp("Steps that count.", valueName: "n"))
  var steps = 5

  @Option(help: ArgumentHelp("Steps before them.", valueName: "n"))
  var warmup = 2

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    let sources = [recipe, model.model, model.config].compactMap { $0 }
    guard sources.count == 1 else { throw ValidationError("give one of a recipe, --model and --config") }
    if recipe == nil, !settings.isEmpty { throw ValidationError("--set needs a recipe") }
    if recipe != nil, weights.quantization != nil {
      throw ValidationError("a recipe says quantization itself; leave --quantize out")
    }
    if activationOffloading, gradientCheckpointing == .none {
      throw ValidationError("--activation-offloading needs --gradient-checkpointing full or selective")
    }
    guard steps > 0, warmup >= 0 else { throw ValidationError("--steps must be a number from 1, and --warmup one from 0") }
    guard (1...1 << 16).contains(batchSize), (2...1 << 20).contains(length) else {
      throw ValidationError("--batch-size must be a number from 1, and --length one from 2")
    }
  }

  func run() throws {
    let result = try measurement()
    if json {
      try Terminal.output.write(try JSONReport.text(result) + "\n")
    } else {
      try table(result).print()
    }
  }

  private func measurement() throws -> TrainingMeasurement {
    if let recipe {
      let recipe = try Recipe(contentsOf: URL(filePath: recipe), overrides: settings)
      return try ScratchFolder.with { try TrainingBench.run(recipe, steps: steps, warmup: warmup, scratch: $0) }
    }
    return try model.measure(quantization: weights.quantization) { weights, scratch in
      var bench = TrainingBench()
      (bench.method, bench.batchSize, bench.steps, bench.warmup) = (method, batchSize, steps, warmup)
      bench.gradientCheckpointing = GradientCheckpointing(gradientCheckpointing)
      bench.activationOffloading = activationOffloading
      (bench.lora.r, bench.lora.dropout) = (rank, dropout)
      bench.lora.targets =
        targetModules.isEmpty
        ? TrainingBench.defaultTargets(weights.files.config["model_type"]?.string ?? "") : .names(targetModules)
      return try bench.run(weights, name: model.label(weights), samples: try samples(for: weights), scratch: scratch)
    }
  }

  private func samples(for weights: ModelWeights) throws -> [EncodedSample] {
    let vocabulary = weights.model.shape.vocabularySize
    if let samples { return try BenchSamples.read(samples, vocabulary: vocabulary) }
    return BenchSamples.random(batchSize * (steps + warmup), length: length, vocabulary: vocabulary)
  }

  private func table(_ result: TrainingMeasurement) -> TextTable {
    var table = TextTable()
    table.append("model", "\(result.model), \(result.dtype) on \(result.device)")
    table.append("trained", "\(result.trainableParameters.grouped) of \(result.parameters.grouped) parameters (\(result.method))")
    table.append("tokens in a step", Set(result.stepTokens).sorted().map(String.init).joined(separator: ", "))
    table.append(
      "step",
      "\(BenchFigure.seconds(result.minStepSeconds)) at best, median \(BenchFigure.seconds(result.medianStepSeconds)) "
        + "of \(result.stepSeconds.count)")
    table.append("tokens a second", BenchFigure.rate(result.tokensPerSecond))
    table.append("peak memory", result.peakMemoryBytes.asBytes)
    table.append("model operations", BenchFigure.operations(result.modelFlopsPerSecond) + " a second")
    table.append("matrix products", BenchFigure.operations(result.matmulFlopsPerSecond) + " a second at best")
    table.append("utilisation", BenchFigure.percent(result.utilization))
    return table
  }
}
