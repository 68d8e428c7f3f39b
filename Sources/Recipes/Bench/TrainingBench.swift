import Datasets
import Foundation
import NN
import Objectives
import Text
import Torch
import Training
import Tuners

/// Measures training steps: the trainer's own, with everything it does in a run.
public struct TrainingBench: Sendable {
  /// What is tuned.
  public enum Method: String, Sendable, Hashable, CaseIterable, Codable {
    /// Adapters on a frozen model.
    case lora
    /// Every parameter, kept in float32.
    case full
  }

  /// What is tuned.
  public var method = Method.lora
  /// LoRA's settings; without targets of its own, those that PEFT takes for the architecture.
  public var lora: LoRAConfiguration
  /// What is computed again in the backward pass instead of being kept.
  public var gradientCheckpointing = GradientCheckpointing.none
  /// Whether what is kept of checkpointed parts lies in a file.
  public var activationOffloading = false
  /// Samples in a step.
  public var batchSize = 4
  /// Steps that count, from 1.
  public var steps = 5
  /// Steps before them, in which memory is gathered and kernels are made.
  public var warmup = 2

  /// LoRA of rank 8 with dropout 0.05.
  public init() {
    lora = LoRAConfiguration()
    lora.alpha = 16
    lora.dropout = 0.05
  }

  /// What PEFT adapts by itself in models of a `model_type`.
  public static func defaultTargets(_ modelType: String) -> TargetModules {
    .names(modelType == "gpt2" ? ["c_attn"] : ["q_proj", "v_proj"])
  }

  /// Trains `weights` on `samples`, in their order.
  ///
  /// - Parameters:
  ///   - weights: the model, without adapters.
  ///   - name: what to call it in the result.
  ///   - samples: as many as the steps take, or more.
  ///   - scratch: an existing folder for the files a run leaves.
  /// - Throws: what the parts of a run throw; ``RecipeError`` where the samples are too few for the steps.
  public func run(
    _ weights: ModelWeights, name: String, samples: [EncodedSample], scratch: URL
  ) throws -> TrainingMeasurement {
    guard samples.count >= batchSize * (steps + warmup) else {
      throw RecipeError(
        "\(steps + warmup) steps of \(batchSize) samples need \(batchSize * (steps + warmup)), and there are \(samples.count)")
    }
    let dtype = weights.model.dtype
    let steps = try Self.steps(
      steps + warmup, of: try part(weights), model: weights.model, samples: samples, batchSize: batchSize,
      gradientCheckpointing: gradientCheckpointing, activationOffloading: activationOffloading, scratch: scratch)
    return try TrainingMeasurement(
      steps, warmup: warmup, weights: weights, name: name, method: method.rawValue, dtype: dtype, batchSize: batchSize)
  }

  /// Takes `count` steps of what is tuned in `model`, on `samples` in their order.
  static func steps(
    _ count: Int, of part: any TunedPart, model: any CausalLM, samples: [EncodedSample], batchSize: Int,
    gradientCheckpointing: GradientCheckpointing, activationOffloading: Bool = false, scratch: URL
  ) throws -> [StepRecorder.Step] {
    try RandomState.seed(42)
    let recorder = StepRecorder(SupervisedFineTuning())
    var options = TrainingOptions()
    options.schedule = .constant
    options.saveEvery = nil
    options.gradientCheckpointing = gradientCheckpointing
    options.activationOffloading = activationOffloading
    options.maxSteps = count
    let trainer = try Trainer(
      model: model, part: part, objective: recorder,
      loader: try DataLoader(samples: samples, batchSize: batchSize, order: .sequential), evalSamples: [], options: options,
      output: scratch, observe: recorder.observe)
    _ = try trainer.run(resuming: false)
    return recorder.steps
  }

  private func part(_ weights: ModelWeights) throws -> any TunedPart {
    let settings: any TuningMethod = method == .lora ? lora : FullConfiguration()
    return try weights.adapters.add(settings).tunedPart(base: weights.path)
  }

  /// Takes the first steps of a recipe, and leaves nothing behind: no evaluation, no checkpoint, no adapter.
  ///
  /// - Parameters:
  ///   - recipe: the recipe, whose output folder is left alone.
  ///   - steps: steps that count.
  ///   - warmup: steps before them.
  ///   - scratch: an existing folder for the files a run leaves.
  /// - Throws: what a run throws.
  public static func run(_ recipe: Recipe, steps: Int, warmup: Int, scratch: URL) throws -> TrainingMeasurement {
    var recipe = recipe
    recipe.output = scratch.appending(path: "run").path
    (recipe.data.eval, recipe.data.evalSplit) = ([], nil)
    recipe.train.epochs = nil
    recipe.train.options.maxSteps = steps + warmup
    recipe.train.options.saveEvery = nil
    recipe.train.options.earlyStopping = nil
    recipe.train.options.loadsBestAtEnd = false
    var recorder: StepRecorder?
    let result = try TuneRun(recipe).run(
      measuredBy: {
        let made = StepRecorder($0)
        recorder = made
        return made
      }, observe: { recorder?.observe($0) })
    return try TrainingMeasurement(
      recorder?.steps ?? [], warmup: warmup, weights: result.model.weights, name: result.model.path,
      method: recipe.method.settings.name,
      dtype: result.plan.dtype, batchSize: recipe.train.batchSize)
  }
}
