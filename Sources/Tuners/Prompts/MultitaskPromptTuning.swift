import Checkpoints
import Foundation
import NN
import OrderedCollections
import Text
import Torch

/// Multitask prompt tuning: virtual tokens that all tasks share, each row of them multiplied by what a task of its own has learnt in
/// low rank. Wang et al., arXiv:2303.02861. Under PEFT's names.
///
/// Of task t: P ∘ (C_t·R_t), with P [n, d], C_t [n, r] and R_t [r, d]. A sample's task is the number of the source it came from.
public struct MultitaskPromptTuning: PromptMethod, Hashable {
  /// What virtual tokens begin as.
  public enum Start: String, Sendable, Hashable, CaseIterable {
    /// N(0, 1).
    case random = "RANDOM"
    /// The tokens of a text, from the start again where they are fewer.
    case text = "TEXT"
    /// What a trained adapter shares, with the mean of its tasks.
    case averageOfTasks = "AVERAGE_SOURCE_TASKS"
    /// What a trained adapter shares, with one of its tasks.
    case oneTask = "EXACT_SOURCE_TASK"
    /// What a trained adapter shares, with tasks that begin anew.
    case sharedOnly = "ONLY_SOURCE_SHARED"
    /// Tokens drawn from the vocabulary.
    case vocabulary = "SAMPLE_VOCAB"

    /// Whether it starts from a trained adapter.
    var needsSource: Bool { self == .averageOfTasks || self == .oneTask || self == .sharedOnly }
  }

  /// How many virtual tokens, from 1.
  public var virtualTokenCount = 20
  /// How many tasks, from 1.
  public var taskCount = 1
  /// r, from 1.
  public var rank = 1
  /// What virtual tokens begin as.
  public var start = Start.vocabulary
  /// The text they begin as.
  public var text: String?
  /// The trained adapter they begin as: its folder, or its tensors.
  public var source: String?
  /// Which of the source's tasks.
  public var sourceTask = 0
  /// Where the text's tokenizer was: PEFT's files name it.
  public var tokenizerPath: String?
  /// The sizes of the model.
  public var sizes = PromptSizes()
  private var textTokens: [Int32] = []

  /// 20 virtual tokens of one task that begin as tokens drawn from the vocabulary.
  public init() {}

  /// `multitask_prompt_tuning`.
  public static var name: String { "multitask_prompt_tuning" }
  /// `MULTITASK_PROMPT_TUNING`.
  public static var peftType: String? { "MULTITASK_PROMPT_TUNING" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    promptSettings + [
      .int("num_tasks", \.taskCount, in: 1...65536), .int("num_ranks", \.rank, in: 1...65536),
      .choice("prompt_tuning_init", \.start), .string("prompt_tuning_init_text", \.text),
      .string("prompt_tuning_init_state_dict_path", \.source),
      .int("prompt_tuning_init_task", \.sourceTask, in: 0...65535),
      .string("tokenizer_name_or_path", \.tokenizerPath).onlyInFile,
    ]
  }

  /// Checks that there is what the virtual tokens are to begin as.
  public func validate() throws(TunerError) {
    if sizes.areSaved { return }
    if start == .text, text == nil {
      throw TunerError("prompt_tuning_init is TEXT, and prompt_tuning_init_text is missing: give the text")
    }
    if start.needsSource, source == nil {
      throw TunerError(
        "prompt_tuning_init is \(start.rawValue), and prompt_tuning_init_state_dict_path is missing: name a trained adapter")
    }
    if start == .averageOfTasks || start == .oneTask, taskCount != 1 {
      throw TunerError("prompt_tuning_init is \(start.rawValue), which begins one task, and num_tasks is \(taskCount)")
    }
  }

  /// Takes the tokens of the text.
  public mutating func prepare(tokenizer: any Tokenizer, of model: String) {
    guard let text else { return }
    (textTokens, tokenizerPath) = (tokenizer.encode(text, addSpecialTokens: true), model)
  }

  /// The settings as PEFT reads them: of an adapter that began as another it would read that one again.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> {
    var config = savedSettings
    if start.needsSource {
      config["prompt_tuning_init"] = .string(Start.random.rawValue)
      config["prompt_tuning_init_state_dict_path"] = .null
    }
    return config
  }

  func makePrompt(for model: any CausalLM) throws -> any TrainedPrompt {
    let (count, size) = (virtualTokenCount, model.shape.hiddenSize)
    let shared =
      switch sizes.areSaved ? .random : start {
      case .vocabulary:
        try PromptStart.rows(of: try PromptStart.sampled(count, from: model), count: count, in: model)
      case .text: try PromptStart.rows(of: textTokens, count: count, in: model)
      default: try PromptStart.random([count, size], on: model.device)
      }
    let prompt = try MultitaskPrompt(shared, tasks: taskCount, rank: rank)
    if start.needsSource, !sizes.areSaved, let source { try begin(prompt, as: source) }
    return prompt
  }

  private func begin(_ prompt: MultitaskPrompt, as source: String) throws {
    var url = URL(filePath: source)
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: source, isDirectory: &isFolder), isFolder.boolValue {
      url = url.appending(path: AdapterFolder.weightsName)
    }
    let file = try SafetensorsFile(url)
    func copy(_ name: String, to target: Tensor, task: (Tensor) throws -> Tensor = { $0 }) throws {
      guard file.info(name) != nil else {
        throw TunerError("prompt_tuning_init_state_dict_path: \(url.path) has no “\(name)”: it is no multitask prompt")
      }
      let value = try task(try file.tensor(name, as: .float32))
      guard value.shape == target.shape else {
        throw TunerError(
          "prompt_tuning_init_state_dict_path: “\(name)” of \(url.path) has shape \(value.shape), and the settings ask for "
            + "\(target.shape)")
      }
      try withoutGradients { try target.copyInPlace(value) }
    }
    try copy(promptTensorName, to: prompt.shared)
    if start == .sharedOnly { return }
    for (name, target) in [("prefix_task_cols", prompt.columns), ("prefix_task_rows", prompt.rows)] {
      try copy(name, to: target) { all in
        if start == .averageOfTasks { return try all.mean(0, keep: true) }
        guard sourceTask < (try all.size(0)) else {
          throw TunerError("prompt_tuning_init_task is \(sourceTask), and \(url.path) has \(try all.size(0)) tasks, from 0")
        }
        return try all.narrowed(0, sourceTask..<sourceTask + 1)
      }
    }
  }
}

/// Virtual tokens of several tasks.
private final class MultitaskPrompt: Module, TrainedPrompt {
  /// P [n, d].
  @Param("embedding.weight") var shared: Tensor
  /// C [T, n, r].
  @Param("prefix_task_cols") var columns: Tensor
  /// R [T, r, d].
  @Param("prefix_task_rows") var rows: Tensor

  /// Tasks whose products are near 1, so that each begins as what they share. PEFT has them near 0, where nothing is left of it.
  init(_ shared: Tensor, tasks: Int, rank: Int) throws(TorchError) {
    super.init()
    self.shared = shared
    let (shape, device) = (shared.shape, shared.device)
    columns = try .empty([tasks, shape[0], rank], device: device)
    rows = try .empty([tasks, rank, shape[1]], device: device)
    try columns.normalInPlace(mean: 1 / Double(rank), standardDeviation: 0.02)
    try rows.normalInPlace(mean: 1, standardDeviation: 0.02)
  }

  var count: Int { shared.shape.first ?? 0 }

  func virtualTokens(rows count: Int, tasks: [Int]) throws(TorchError) -> VirtualTokens {
    let known = try columns.size(0)
    // One task is everybody's.
    let tasks = known == 1 ? Array(repeating: 0, count: count) : tasks
    if let wrong = tasks.first(where: { !(0..<known).contains($0) }) {
      throw TorchError(
        .indexRange, operation: "multitask_prompt",
        message: "the task \(wrong), and the adapter has \(known), numbered from 0; num_tasks says how many there are")
    }
    let places = try Tensor(tasks.map(Int64.init)).to(columns.device)
    let products = try columns.indexed(0, places).matmul(try rows.indexed(0, places))
    return .rows(try products * (try shared.unsqueezed(0)))
  }

  var trained: [(path: String, value: Tensor)] {
    [(promptTensorName, shared), ("prefix_task_cols", columns), ("prefix_task_rows", rows)]
  }
  var saved: [SavedTensor] { trained.map { SavedTensor($0.path, $0.value) } }
}
