import Datasets
import NN
import Training
import Tuners

/// A change of a recipe that makes a run need less memory.
public struct PlanChange: Sendable, Codable, Hashable {
  /// The keys to set, as `--set` takes them.
  public let settings: [String]
  /// What it does and what it costs.
  public let words: String
  /// The peak with this change alone, in bytes.
  public let peak: Int
  /// What it saves.
  public let saving: Int
}

/// A recipe changed so that it fits.
public struct FittedPlan: Sendable {
  /// The recipe.
  public let recipe: Recipe
  /// Its plan, which still may not fit.
  public let plan: RunPlan
  /// The keys that were set.
  public let settings: [String]
  /// What was done, in words.
  public let words: [String]
}

/// One way to need less memory, in steps of which each saves more than the one before.
struct PlanRemedy {
  /// A step: keys to set, and what that does and costs.
  struct Step {
    let settings: [String]
    let words: String
  }

  let steps: [Step]

  /// What may be done about a recipe, what costs least first.
  static func all(for recipe: Recipe, _ plan: RunPlan, storedBlocks: Bool) -> [PlanRemedy] {
    let every = [
      batches(recipe), checkpointing(recipe), optimizer(recipe, plan), narrower(recipe, plan), packing(recipe, storedBlocks),
      lengths(recipe, plan),
    ]
    return every.filter { !$0.steps.isEmpty }
  }

  /// Fewer samples at a time and as many more batches a step: the same gradients.
  private static func batches(_ recipe: Recipe) -> PlanRemedy {
    let (size, accumulated) = (recipe.train.batchSize, recipe.train.options.gradientAccumulation)
    guard !recipe.train.options.optimizer.isInBackward else { return PlanRemedy(steps: []) }
    let smaller = stride(from: size / 2, to: 0, by: -1).filter { size % $0 == 0 && size / $0 * accumulated <= 65536 }
    return PlanRemedy(
      steps: smaller.map { count in
        Step(
          settings: ["train.batch_size=\(count)", "train.gradient_accumulation=\(size / count * accumulated)"],
          words: "fewer samples at a time, as many in a step: the same gradients")
      })
  }

  private static func checkpointing(_ recipe: Recipe) -> PlanRemedy {
    let now = recipe.train.options.gradientCheckpointing
    let order = GradientCheckpointing.Part.allCases
    let stronger = order.drop { $0 != now.part }.dropFirst(now.every > 1 ? 0 : 1)
    return PlanRemedy(
      steps: stronger.map { part in
        Step(
          settings: ["train.gradient_checkpointing={type: \(part.rawValue), every: 1}"],
          words: part == .full
            ? "layers are computed again in the backward pass: about a third more time"
            : "feed-forward parts are computed again in the backward pass: about a fifth more time")
      })
  }

  /// Eight bits for what the optimizer remembers, then a file for it.
  private static func optimizer(_ recipe: Recipe, _ plan: RunPlan) -> PlanRemedy {
    guard let means = recipe.train.options.optimizer.method as? any KeepsMeans, plan.memory.optimizer > plan.memory.peak / 100
    else {
      return PlanRemedy(steps: [])
    }
    var steps: [Step] = []
    if means.bits == .thirtyTwo {
      steps.append(
        Step(settings: ["train.optimizer.optim_bits=8"], words: "the optimizer remembers in 8 bits: steps are nearly the same"))
    }
    if !means.isPaged {
      steps.append(
        Step(
          settings: steps.flatMap(\.settings) + ["train.optimizer.is_paged=true"],
          words: "what the optimizer remembers lies in a file: steps take as long as the disk needs"))
    }
    return PlanRemedy(steps: steps)
  }

  private static func narrower(_ recipe: Recipe, _ plan: RunPlan) -> PlanRemedy {
    guard plan.dtype == "float32" else { return PlanRemedy(steps: []) }
    return PlanRemedy(
      steps: [
        Step(settings: ["train.dtype=bf16"], words: "frozen weights and activations in bfloat16: about three digits of precision")
      ])
  }

  /// Frozen weights in few bits.
  private static func packing(_ recipe: Recipe, _ storedBlocks: Bool) -> PlanRemedy {
    guard recipe.train.model.quantization == nil, recipe.method.initFrom != nil || recipe.method.settings.files != .model else {
      return PlanRemedy(steps: [])
    }
    let stored = Step(
      settings: ["quantization={type: stored}"], words: "frozen weights stay in the file's blocks: the same numbers, more time")
    let packed = Step(settings: ["quantization={type: nf4}"], words: "frozen weights in 4 bits: numbers are rounded, more time")
    return PlanRemedy(steps: [storedBlocks ? stored : packed])
  }

  /// Shorter samples: text is lost.
  private static func lengths(_ recipe: Recipe, _ plan: RunPlan) -> PlanRemedy {
    let longest = min(recipe.data.encoding.maxLength ?? 1024, plan.largestBatch.longestSample)
    let shorter = sequence(first: powerOfTwo(below: longest)) { $0 / 2 }.prefix { $0 >= 64 }
    return PlanRemedy(
      steps: shorter.map {
        Step(settings: ["data.max_length=\($0)"], words: "samples are cut off after \($0) tokens: text is lost")
      })
  }

  private static func powerOfTwo(below number: Int) -> Int {
    var power = 1
    while power * 2 < number { power *= 2 }
    return power
  }
}
