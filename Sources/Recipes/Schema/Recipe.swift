import Datasets
import Foundation
import NN
import Objectives
import OrderedCollections
import Text
import Torch
import Training
import Tuners

/// A tuning run in full: which model, which method, which data, how long.
public struct Recipe: Sendable {
  /// The model's name or path.
  public var model: String
  /// The method and its settings.
  public var method: MethodRecipe
  /// Tokens that the vocabulary is grown by before the run.
  public var newTokens: [NewToken] = []
  /// The objective and its settings.
  public var objective = ObjectiveRecipe()
  /// The data.
  public var data: DataRecipe
  /// How it goes.
  public var train = TrainRecipe()
  /// The run's folder.
  public var output: String

  /// A recipe by its parts.
  public init(model: String, method: MethodRecipe, data: DataRecipe, output: String) {
    (self.model, self.method, self.data, self.output) = (model, method, data, output)
  }

  /// Reads a recipe and checks every key, type and range.
  ///
  /// - Parameters:
  ///   - url: the YAML file.
  ///   - overrides: `key.path=value` pairs that replace what stands there.
  /// - Throws: ``RecipeError`` with file, line and key.
  public init(contentsOf url: URL, overrides: [String] = []) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw RecipeError("there is no recipe at \(url.path)")
    }
    guard !isFolder.boolValue else { throw RecipeError("\(url.path) is a folder; name the recipe, a YAML file") }
    guard let data = FileManager.default.contents(atPath: url.path) else { throw RecipeError("\(url.path) cannot be read") }
    guard let text = String(validating: data, as: UTF8.self) else { throw RecipeError("\(url.path) is not UTF-8 text") }
    try self.init(text, file: url.lastPathComponent, overrides: overrides)
  }

  /// Reads a recipe's text.
  public init(_ text: String, file: String = "recipe", overrides: [String] = []) throws(RecipeError) {
    let root = try RecipeNode(text, file: file, overrides: overrides)
    let model = try root.string("model")
    let method = try root.child("method", shorthand: "type")
    let newTokens =
      (try root.strings("add_tokens") ?? []).map { NewToken($0) }
      + (try root.strings("add_special_tokens") ?? []).map { NewToken($0, isSpecial: true) }
    let objective = try root.child("objective", shorthand: "type")
    let data = try root.child("data")
    let train = try root.child("train")
    let quantization = try root.child("quantization", shorthand: "type")
    let output = try root.string("output")
    // A slip in a key's name is said before the key is called missing.
    try root.finish()
    guard let model else { throw root.error("model", "is missing: name the model to tune") }
    guard let data else { throw root.error("data", "is missing: say at least data.train") }
    guard let output, !output.isEmpty else { throw root.error("output", "is missing: name the run's folder") }
    self.model = model
    self.output = output
    self.newTokens = newTokens
    self.method = try MethodRecipe(method)
    guard newTokens.isEmpty || self.method.initFrom == nil else {
      throw root.error("add_tokens", "cannot stand beside method.init_from: an adapter brings its own new tokens")
    }
    if let rows = self.method.settings as? TrainableTokensConfiguration, rows.tokens.isEmpty, newTokens.isEmpty,
      self.method.initFrom == nil
    {
      throw root.error(
        "method", "does not fit: token_indices is missing; name the tokens whose rows are trained, or give add_tokens")
    }
    self.data = try DataRecipe(data)
    let evaluates = !self.data.eval.isEmpty || self.data.evalSplit != nil
    self.objective = try ObjectiveRecipe(objective, model: model)
    if let train { self.train = try TrainRecipe(train) }
    try checkReinforcement(root)
    if let quantization { try read(quantization: quantization) }
    if train?.has("learning_rate") != true {
      self.train.options.learningRate = self.method.settings.learningRate * self.objective.objective.rateScale
    }
    let tunesModel = self.method.initFrom == nil && self.method.settings.files == .model
    do { try self.train.options.checkBackwardSteps(gradientsComeWhole: tunesModel) } catch {
      throw train?.error("optimizer", "does not fit: \(error)") ?? RecipeError("\(error)")
    }
    guard let train, !evaluates else { return }
    for key in ["eval_every", "early_stopping", "load_best_at_end"] where train.has(key) {
      throw train.error(key, "needs evaluation data: give data.eval or data.eval_split")
    }
  }
}

extension Recipe {
  /// Refuses what an objective that learns from the model's own answers cannot have beside it.
  private func checkReinforcement(_ root: RecipeNode) throws(RecipeError) {
    guard let reinforcement = objective.reinforcement else { return }
    guard data.eval.isEmpty, data.evalSplit == nil else {
      throw root.error(
        "data", "has evaluation data, and “\(objective.objective.name)” has no loss to measure on them: leave them out")
    }
    guard !data.packing else { throw root.error("data", "is packed, and prompts are not: leave packing out") }
    _ = try reinforcement.settings(train)
  }

  /// `quantization: {type: nf4, double_quant: true, compute_dtype: bf16, skip_modules: [lm_head]}`.
  private mutating func read(quantization node: RecipeNode) throws(RecipeError) {
    guard method.initFrom != nil || method.settings.files != .model else {
      throw node.error("type", "cannot stand beside method.type \(method.settings.name), which trains the weights themselves")
    }
    train.model.quantization = try Quantization(node)
    if let dtype = try node.choice("compute_dtype", ModelOptions.dtypes) {
      guard train.model.dtype == nil || train.model.dtype == dtype else {
        throw node.error("compute_dtype", "is not what train.dtype says; give one of them")
      }
      train.model.dtype = dtype
    }
    try node.finish()
  }
}

/// The part `method:` of a recipe.
public struct MethodRecipe: Sendable {
  /// The method with its settings.
  public var settings: any TuningMethod
  /// A saved adapter to start from, whose settings count then.
  public var initFrom: String?
  /// Saved adapters that are at work before the one that is tuned, and stay as they are: a language's below a task's.
  public var below: [String] = []

  /// A method with these settings.
  public init(_ settings: any TuningMethod = LoRAConfiguration(), initFrom: String? = nil) {
    (self.settings, self.initFrom) = (settings, initFrom)
  }

  /// A method as the part `method:` of a recipe says it: `{type: dora, r: 16}`.
  ///
  /// - Throws: ``RecipeError`` for a key or a value that does not fit.
  public init(_ yaml: String, file: String) throws(RecipeError) {
    try self.init(try RecipeNode(yaml, file: file, overrides: []))
  }

  init(_ node: RecipeNode?) throws(RecipeError) {
    self.init()
    guard let node else { return }
    let name = try node.choice("type", Methods.names.map { ($0, $0) })
    initFrom = try node.string("init_from")
    below = try node.strings("stack_on") ?? []
    do {
      settings = name.flatMap(Methods.make) ?? settings
      try settings.read(recipe: node)
    } catch let error as RecipeError {
      throw error
    } catch {
      throw node.error("type", "is “\(settings.name)” with settings that do not fit: \(error)")
    }
    try node.finish()
  }
}

/// The part `data:` of a recipe.
public struct DataRecipe: Sendable {
  /// Where training samples come from.
  public var train: [DataSource]
  /// Where evaluation samples come from.
  public var eval: [DataSource] = []
  /// The share of the training samples held out for evaluation instead.
  public var evalSplit: Double?
  /// How samples become tokens.
  public var encoding = EncodingSettings(maxLength: 1024)
  /// Whether rows are filled up with whole samples.
  public var packing = false
  /// The order of samples.
  public var order = BatchPlan.Order.shuffled
  /// Whether a sample without a trained token stops the run instead of being left out.
  public var isStrict = false
  /// Whether tokens are taken from the cache of encoded data, and kept there.
  public var usesCache = true

  /// Data from these sources.
  public init(train: [DataSource], eval: [DataSource] = []) { (self.train, self.eval) = (train, eval) }

  init(_ node: RecipeNode) throws(RecipeError) {
    let formats = DatasetFormat.all.map { ($0.name, $0.name) } + [("auto", "auto")]
    let format = try node.choice("format", formats) ?? "auto"
    train = try Self.sources(node, "train", format: format, formats: formats)
    guard !train.isEmpty else { throw node.error("train", "is missing: name the file to train on") }
    eval = try Self.sources(node, "eval", format: format, formats: formats)
    evalSplit = try node.double("eval_split", in: 0.0001...0.9)
    if evalSplit != nil, !eval.isEmpty { throw node.error("eval_split", "cannot stand beside eval: choose one of them") }
    encoding.maxLength = try node.int("max_length", in: 2...1 << 24) ?? 1024
    encoding.truncation = try node.choice("truncation", Truncation.allCases.map { ($0.rawValue, $0) })
    encoding.mask = try node.choice("mask", MaskPolicy.allCases.map { ($0.rawValue, $0) })
    encoding.appendsEndOfText = try node.bool("append_eos") ?? true
    packing = try node.bool("packing") ?? false
    if try node.bool("balance") ?? false { order = .balanced }
    if let shuffles = try node.bool("shuffle"), !shuffles { order = .sequential }
    if try node.bool("group_by_length") ?? false { order = .grouped }
    isStrict = try node.bool("strict") ?? false
    usesCache = try node.bool("cache") ?? true
    try node.finish()
  }

  private static func sources(
    _ node: RecipeNode, _ key: String, format: String, formats: [(String, String)]
  ) throws(RecipeError) -> [DataSource] {
    var sources: [DataSource] = []
    for element in try node.elements(key, shorthand: "path") {
      guard let path = try element.string("path") else { throw element.error("path", "is missing") }
      let weight = try element.double("weight", in: 1e-4...10_000) ?? 1
      let own = try element.choice("format", formats) ?? format
      try element.finish()
      sources.append(DataSource(path: path, weight: weight, format: own))
    }
    return sources
  }
}

/// The part `train:` of a recipe.
public struct TrainRecipe: Sendable {
  /// Passes over the data; nil where max_steps says when to end.
  public var epochs: Int? = 1
  /// Samples a batch, or packed rows.
  public var batchSize = 8
  /// What the model is loaded as and where.
  public var model = ModelOptions()
  /// The loop's settings.
  public var options = TrainingOptions()
  /// Whether the plan of a run chooses what is computed again: as little as fits.
  public var choosesCheckpointing = false

  /// The defaults.
  public init() {}

  init(_ node: RecipeNode) throws(RecipeError) {
    let epochs = try node.int("epochs", in: 1...100_000)
    options.maxSteps = try node.int("max_steps", in: 1...1 << 40)
    self.epochs = epochs ?? (options.maxSteps == nil ? 1 : nil)
    batchSize = try node.int("batch_size", in: 1...65536) ?? batchSize
    options.gradientAccumulation = try node.int("gradient_accumulation", in: 1...65536) ?? 1
    options.learningRate = try node.double("learning_rate", in: 0...1e3) ?? options.learningRate
    options.maxGradientNorm = try node.double("max_grad_norm", in: 0...1e9).map { $0 == 0 ? nil : $0 } ?? 1
    options.seed = UInt64(try node.int("seed", in: 0...Int.max) ?? 42)
    options.logEvery = try node.int("log_every", in: 1...1 << 40) ?? 10
    options.evalEvery = try node.int("eval_every", in: 1...1 << 40)
    options.saveEvery = try node.int("save_every", in: 0...1 << 40).map { $0 == 0 ? nil : $0 } ?? options.saveEvery
    options.saveLimit = try node.int("save_limit", in: 1...1000) ?? 2
    options.loadsBestAtEnd = try node.bool("load_best_at_end") ?? false
    model.dtype = try node.choice("dtype", ModelOptions.dtypes) ?? nil
    model.device = try node.string("device").map { text throws(RecipeError) in try ModelOptions.device(text) } ?? nil
    model.threads = try node.int("threads", in: 1...4096)
    if let part = try node.child("gradient_checkpointing", shorthand: "type") { try read(checkpointing: part) }
    options.activationOffloading = try node.bool("activation_offloading") ?? false
    if options.activationOffloading, options.gradientCheckpointing.part == .none {
      throw node.error("activation_offloading", "keeps what checkpointed layers keep: give gradient_checkpointing: full, too")
    }
    if let schedule = try node.child("schedule", shorthand: "type") { try read(schedule: schedule) }
    if let optimizer = try node.child("optimizer", shorthand: "type") { try read(optimizer: optimizer) }
    if let adafactor = options.optimizer.method as? Adafactor, adafactor.hasRelativeStep, node.has("learning_rate") {
      throw node.error("learning_rate", "counts for nothing where optimizer.relative_step is true: leave one of them out")
    }
    if let stopping = try node.child("early_stopping", shorthand: "patience") { try read(stopping: stopping) }
    try node.finish()
  }

  private mutating func read(checkpointing node: RecipeNode) throws(RecipeError) {
    let parts: [(name: String, value: GradientCheckpointing.Part?)] =
      GradientCheckpointing.Part.allCases.map { ($0.rawValue, $0) } + [("auto", nil)]
    let part = try node.choice("type", parts) ?? .full
    let every = try node.int("every", in: 1...65536)
    guard let part else {
      guard every == nil else { throw node.error("every", "cannot stand beside type: auto, which chooses it") }
      choosesCheckpointing = true
      return try node.finish()
    }
    options.gradientCheckpointing = GradientCheckpointing(part, every: every ?? 1)
    try node.finish()
  }

  private mutating func read(schedule node: RecipeNode) throws(RecipeError) {
    options.schedule = try node.choice("type", Schedule.Kind.allCases.map { ($0.rawValue, $0) }) ?? options.schedule
    options.warmupRatio = try node.double("warmup_ratio", in: 0...1) ?? 0
    options.warmupSteps = try node.int("warmup_steps", in: 0...1 << 40)
    try node.finish()
  }

  private mutating func read(optimizer node: RecipeNode) throws(RecipeError) {
    let name = try node.choice("type", Optimizers.names.map { ($0, $0) })
    options.optimizer.method = name.flatMap(Optimizers.make) ?? options.optimizer.method
    do {
      try options.optimizer.read(recipe: node)
    } catch let error as RecipeError {
      throw error
    } catch {
      throw node.error("type", "is “\(options.optimizer.method.name)” with settings that do not fit: \(error)")
    }
    try node.finish()
  }

  private mutating func read(stopping node: RecipeNode) throws(RecipeError) {
    guard let patience = try node.int("patience", in: 1...1 << 20) else { throw node.error("patience", "is missing") }
    options.earlyStopping = TrainingOptions.EarlyStopping(
      patience: patience, minimumDelta: try node.double("min_delta", in: 0...1e9) ?? 0)
    try node.finish()
  }
}

extension ModelOptions {
  /// The element types by the names that recipes and commands give them.
  public static let dtypes: [(name: String, value: DType?)] = [("f32", .float32), ("bf16", .bfloat16), ("auto", nil)]

  /// The device of a name: `cpu`, `cuda`, `cuda:1`; nil for `auto`.
  ///
  /// - Throws: ``RecipeError`` for another name.
  public static func device(_ name: String) throws(RecipeError) -> Device? {
    let parts = name.split(separator: ":", omittingEmptySubsequences: false)
    switch (parts.first, parts.count) {
    case ("auto", 1): return nil
    case ("cpu", 1): return .cpu
    case ("cuda", 1): return .cuda(0)
    case ("cuda", 2):
      if let index = Int(parts[1]), index >= 0 { return .cuda(index) }
      fallthrough
    default: throw RecipeError("there is no device “\(name)”; known are cpu, cuda, cuda:N and auto")
    }
  }
}
