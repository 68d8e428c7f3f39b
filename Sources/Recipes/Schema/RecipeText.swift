import Datasets
import NN
import OrderedCollections
import Text
import Torch
import Training
import Tuners

extension Recipe {
  /// The recipe with every default filled in, as YAML that reads back to the same run.
  public var yaml: String {
    var lines = ["model: \(quoted(model))"]
    for (key, isSpecial) in [("add_tokens", false), ("add_special_tokens", true)] {
      let tokens = newTokens.filter { $0.isSpecial == isSpecial }.map { quoted($0.content) }
      if !tokens.isEmpty { lines.append("\(key): [\(tokens.joined(separator: ", "))]") }
    }
    lines += ["method:"] + method.lines.map { "  " + $0 }
    if let quantization = train.model.quantization { lines.append("quantization: \(quantization.yaml)") }
    lines += ["objective: \(objective.yaml)", "data:"]
    lines += data.lines.map { "  " + $0 }
    lines += ["train:"]
    lines += train.lines.map { "  " + $0 }
    lines += ["output: \(quoted(output))"]
    return lines.joined(separator: "\n") + "\n"
  }
}

/// A text as a YAML scalar in double quotes, which JSON's rules fit.
private func quoted(_ text: String) -> String { JSON.string(text).text() }

extension Quantization {
  /// As a recipe gives it. What is computed with stands as train.dtype.
  var yaml: String {
    let nested = kind == .nf4 || kind == .fp4 ? ", double_quant: \(doubleQuant)" : ""
    return "{ type: \(kind.rawValue)\(nested), skip_modules: [\(skipModules.map(quoted).joined(separator: ", "))] }"
  }
}

extension MethodRecipe {
  fileprivate var lines: [String] {
    var lines = ["type: \(settings.name)"]
    if let initFrom { lines.append("init_from: \(quoted(initFrom))") }
    if !below.isEmpty { lines.append("stack_on: [\(below.map(quoted).joined(separator: ", "))]") }
    return lines + settings.recipeSettings.map { "\($0.key): \($0.value.text())" }
  }
}

extension DataRecipe {
  fileprivate var lines: [String] {
    var lines = ["train:"] + train.map(source)
    if !eval.isEmpty { lines += ["eval:"] + eval.map(source) }
    if let evalSplit { lines.append("eval_split: \(JSON.python(evalSplit))") }
    if let length = encoding.maxLength { lines.append("max_length: \(length)") }
    if let truncation = encoding.truncation { lines.append("truncation: \(truncation.rawValue)") }
    if let mask = encoding.mask { lines.append("mask: \(mask.rawValue)") }
    lines += ["append_eos: \(encoding.appendsEndOfText)", "packing: \(packing)"]
    switch order {
    case .balanced: lines.append("balance: true")
    case .shuffled: lines.append("balance: false")
    case .sequential: lines.append("shuffle: false")
    case .grouped: lines.append("group_by_length: true")
    }
    lines += ["strict: \(isStrict)", "cache: \(usesCache)"]
    return lines
  }

  private func source(_ source: DataSource) -> String {
    "  - { path: \(quoted(source.path)), weight: \(JSON.python(source.weight)), format: \(source.format ?? "auto") }"
  }
}

extension TrainRecipe {
  fileprivate var lines: [String] {
    var lines: [String] = []
    if let epochs { lines.append("epochs: \(epochs)") }
    if let steps = options.maxSteps { lines.append("max_steps: \(steps)") }
    lines += ["batch_size: \(batchSize)", "gradient_accumulation: \(options.gradientAccumulation)"]
    let hasOwnRate = (options.optimizer.method as? Adafactor)?.hasRelativeStep ?? false
    if !hasOwnRate { lines.append("learning_rate: \(JSON.python(options.learningRate))") }
    let warmup = options.warmupSteps.map { "warmup_steps: \($0)" } ?? "warmup_ratio: \(JSON.python(options.warmupRatio))"
    lines.append("schedule: { type: \(options.schedule.rawValue), \(warmup) }")
    let optimizer = options.optimizer.recipeSettings.map { "\($0.key): \($0.value.text())" }
    lines.append("optimizer: { \(optimizer.joined(separator: ", ")) }")
    lines.append("max_grad_norm: \(JSON.python(options.maxGradientNorm ?? 0))")
    let checkpointing = options.gradientCheckpointing
    lines.append(
      choosesCheckpointing
        ? "gradient_checkpointing: { type: auto }"
        : "gradient_checkpointing: { type: \(checkpointing.part.rawValue), every: \(checkpointing.every) }")
    if options.activationOffloading { lines.append("activation_offloading: true") }
    lines.append("dtype: \(ModelOptions.dtypes.first { $0.value == model.dtype }?.name ?? "auto")")
    lines.append("device: \(model.device?.description ?? "auto")")
    if let threads = model.threads { lines.append("threads: \(threads)") }
    lines += ["seed: \(options.seed)", "log_every: \(options.logEvery)"]
    if let every = options.evalEvery { lines.append("eval_every: \(every)") }
    lines.append("save_every: \(options.saveEvery ?? 0)")
    lines.append("save_limit: \(options.saveLimit)")
    if let stopping = options.earlyStopping {
      lines.append("early_stopping: { patience: \(stopping.patience), min_delta: \(JSON.python(stopping.minimumDelta)) }")
    }
    lines.append("load_best_at_end: \(options.loadsBestAtEnd)")
    return lines
  }
}
