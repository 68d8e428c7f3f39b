import Torch

/// What a run needs, told before anything is loaded.
public struct RunPlan: Sendable, Codable, Hashable {
  /// The folder or file of the model.
  public let model: String
  /// The method's name.
  public let method: String
  /// The objective's name.
  public let objective: String
  /// Where it runs: `cpu`, `cuda:0`.
  public let device: String
  /// The element type of what is frozen: `float32`, `bfloat16`.
  public let dtype: String
  /// What is computed again in the backward pass: `none`, `selective`, `full`.
  public let gradientCheckpointing: String
  /// Numbers in the model, the tuned ones included.
  public let parameters: Int
  /// Numbers that are tuned.
  public let trainableParameters: Int
  /// The batch that memory has to be enough for.
  public let largestBatch: PlannedBatch
  /// Optimizer steps to take; nil where the data were not read and the recipe does not say.
  public let steps: Int?
  /// Memory.
  public var memory: PlannedMemory
  /// Time; nil where no rate was measured.
  public var time: PlannedTime?
  /// Room on the disk.
  public let disk: PlannedDisk

  /// Whether the peak is within what there is; true where that is not known.
  public var fits: Bool { memory.available.map { memory.peak <= $0 } ?? true }
}

/// The size of a batch.
public struct PlannedBatch: Sendable, Codable, Hashable {
  /// Samples.
  public let samples: Int
  /// Tokens of all samples.
  public let tokens: Int
  /// Tokens of the longest sample.
  public let longestSample: Int
  /// Whether it is made up, of samples as long as `max_length` lets them be, since the data were not read.
  public let isAssumed: Bool
}

/// Memory of a run in bytes: its parts at the moment when there is most, and what they come to.
public struct PlannedMemory: Sendable, Codable, Hashable {
  /// Some bytes with their name.
  public struct Part: Sendable, Codable, Hashable {
    /// What they hold.
    public let name: String
    /// How many.
    public let bytes: Int
  }

  /// The program, its libraries and what they set aside, the tokenizer, and the data.
  public var process: Int
  /// Frozen weights, by how they are stored.
  public var weights: [Part]
  /// What the method adds: adapters, virtual tokens, or float32 copies of what is tuned.
  public var adapters: Int
  /// Gradients of what is tuned.
  public var gradients: Int
  /// What the optimizer remembers, as far as it is in memory.
  public var optimizer: Int
  /// What the forward pass keeps for the backward pass.
  public var activations: Int
  /// Logits of the rows and columns that are at work, and what the head keeps.
  public var head: Int
  /// What exists only while an operation runs, in the backward pass or where parameters are moved.
  public var work: Int
  /// Memory between pieces in use, which is kept for the next ones.
  public var spare: Int
  /// The most that is held at once: the sum of the above.
  public var peak: Int
  /// The most that is held while the model is loaded, which is over before the first step.
  public var loading: Int
  /// What there is for this process, what it holds already included; nil where the system does not say.
  public var available: Int?

  /// Bytes of all frozen weights.
  public var weightBytes: Int { weights.reduce(0) { $0 + $1.bytes } }

  /// The parts in order, those that are nothing left out.
  public var parts: [Part] {
    let rest: [(String, Int)] = [
      ("adapters", adapters), ("gradients", gradients), ("optimizer", optimizer), ("activations", activations),
      ("head and loss", head), ("working memory", work), ("spare pieces", spare),
    ]
    return [Part(name: "program and data", bytes: process)]
      + weights.map { Part(name: "weights, \($0.name)", bytes: $0.bytes) }
      + rest.filter { $0.1 > 0 }.map { Part(name: $0.0, bytes: $0.1) }
  }
}

/// Time of a run: an estimate.
public struct PlannedTime: Sendable, Codable, Hashable {
  /// Operations a second of products of large matrices, measured here.
  public let matmulRate: Double
  /// The share of that rate that a step is taken to reach.
  public let share: Double
  /// Operations of all steps, those that gradient checkpointing repeats included.
  public let operations: Double
  /// Seconds of a step of average size.
  public let secondsPerStep: Double
  /// Seconds of all steps; evaluations and checkpoints are not in it.
  public let seconds: Double
}

/// Room on the disk in bytes.
public struct PlannedDisk: Sendable, Codable, Hashable {
  /// The adapter, or the tuned model.
  public let result: Int
  /// One checkpoint.
  public let checkpoint: Int
  /// Checkpoints that are there at once.
  public let checkpointsKept: Int
  /// The best state, where there are evaluations.
  public let best: Int
  /// The file of what the optimizer keeps there.
  public let paged: Int
  /// Tokens in the cache of encoded data.
  public let cache: Int
  /// All of it; one checkpoint more than is kept exists for a moment.
  public let total: Int
  /// What is free where the run's folder is; nil where the system does not say.
  public let available: Int?
}
