import ArgumentParser
import Foundation
import NN
import Recipes
import Torch
import Tuners

/// The model by name or path.
struct ModelName: ParsableArguments {
  @Option(
    name: [.customLong("model"), .customShort("m")],
    help: ArgumentHelp(
      "The model: a name of the model store, a Hugging Face folder, or a .gguf file.", valueName: "name-or-path"))
  var name: String
}

/// The model with what is laid over it: for verbs that compute.
struct ModelArguments: ParsableArguments {
  @OptionGroup var model: ModelName

  @Option(
    help: ArgumentHelp(
      "An adapter to apply: its folder, or the folder of a run, with a weight behind “=” if it is not 1. Several apply together.",
      valueName: "folder"))
  var adapter: [WeightedAdapter] = []

  @Flag(help: "Apply adapters to this model even if they were trained on another.")
  var anyBase = false

  @Option(
    help: ArgumentHelp("The task that an adapter of several prompts is used for, numbered from 0.", valueName: "n"))
  var task = 0

  func validate() throws {
    if task < 0 { throw ValidationError("--task must be a number from 0, not \(task)") }
  }

  /// Loads the model and its adapters, and says how long that took.
  func load(_ machine: MachineArguments, quantization: Quantization? = nil) throws -> LoadedModel {
    let start = ContinuousClock.now
    var options = machine.options
    options.quantization = quantization
    let model = try LoadedModel(model.name, options: options)
    try model.refuseWithoutTokens()
    try model.load(weighted: adapter, anyBase: anyBase)
    model.model.prompts.task = task
    Log.loaded(model.weights, since: start)
    try noteOtherBases()
    return model
  }

  /// Loads weights and adapters without a tokenizer.
  ///
  /// - Parameter scores: the model is to score texts, by its own head or an adapter's, instead of predicting tokens.
  func loadWeights(
    _ machine: MachineArguments, quantization: Quantization? = nil, scores: Bool = false
  ) throws -> ModelWeights {
    let start = ContinuousClock.now
    var options = machine.options
    options.quantization = quantization
    let weights = try ModelWeights(ModelStore.standard.resolve(model.name), options: options)
    if !scores { try weights.refuseWithoutTokens() }
    try weights.load(weighted: adapter, anyBase: anyBase, scores: scores)
    weights.model.prompts.task = task
    Log.loaded(weights, since: start)
    try noteOtherBases()
    return weights
  }

  /// Says where an adapter that did not note its base was made for a model of another name: its shapes may fit all the same.
  private func noteOtherBases() throws {
    for folder in adapter.map(\.folder) {
      let url = try ModelWeights.adapterFolder(folder)
      guard try AdapterRecord(readingFrom: url)?.base == nil, let base = try AdapterFolder.baseModel(url) else { continue }
      if Self.bareName(base) != Self.bareName(model.name) {
        Log.line("note: the adapter \(folder) was made for the model “\(base)”; is this the same?")
      }
    }
  }

  /// The last part of a name or path, without `.gguf`, in lower case.
  private static func bareName(_ model: String) -> String {
    let name = URL(filePath: model).lastPathComponent.lowercased()
    return name.hasSuffix(".gguf") ? String(name.dropLast(5)) : name
  }
}

extension Log {
  fileprivate static func loaded(_ weights: ModelWeights, since start: ContinuousClock.Instant) {
    let seconds = ((ContinuousClock.now - start) / .seconds(1)).formatted(.number.precision(.fractionLength(2)))
    let adapters = weights.adapters.active.isEmpty ? "" : " with " + weights.adapters.active.joined(separator: ", ")
    note("loaded \(weights.path)\(adapters) as \(weights.model.dtype.rawValue) on \(weights.model.device) in \(seconds) s")
  }
}

extension WeightedAdapter: ExpressibleByArgument {
  /// The adapter that an argument names.
  public init?(argument: String) { self.init(parsing: argument) }

  /// Its folder.
  public var defaultValueDescription: String { folder }
}

/// How computing is done.
struct MachineArguments: ParsableArguments {
  @Option(help: "The element type of the weights. auto: bf16 on a GPU or a processor that multiplies it in hardware, else f32.")
  var dtype = DTypeChoice.auto

  @Option(help: "Where to compute: cpu, cuda, cuda:N, or auto: a GPU where there is one.")
  var device = DeviceChoice.auto

  @Option(help: ArgumentHelp("Threads inside one operation (default: all cores).", valueName: "n"))
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be a number from 1 to 1024, not \(threads)")
    }
  }

  /// The choices as the library takes them.
  var options: ModelOptions { ModelOptions(dtype: dtype.dtype, device: device.device, threads: threads) }
}

/// What weights are stored in for generating.
struct QuantizationArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Keep the weights of projections in few bits: nf4 or fp4 (4 bits, without the head), int8 (8 bits, the head too), or stored "
        + "(as the file has them).",
      valueName: "format"))
  var quantize: Quantization?

  @Flag(inversion: .prefixedNo, help: "With nf4 and fp4: keep their scales in 8 bits.")
  var doubleQuant = true

  /// The choice as the library takes it.
  var quantization: Quantization? {
    guard var quantization = quantize else { return nil }
    quantization.doubleQuant = doubleQuant
    return quantization
  }

  func validate() throws {
    if !doubleQuant, quantize?.kind != .nf4, quantize?.kind != .fp4 {
      throw ValidationError("--no-double-quant goes with --quantize nf4 or fp4")
    }
  }
}

extension Quantization: ExpressibleByArgument {
  /// The format of a name; in 8 bits the head is packed, too, since it is what a token reads most of.
  public init?(argument: String) {
    guard let kind = Kind(rawValue: argument) else { return nil }
    self.init(kind)
    if kind == .int8 { skipModules = [] }
  }

  /// Its name.
  public var defaultValueDescription: String { kind.rawValue }
  /// The names.
  public static var allValueStrings: [String] { Kind.allCases.map(\.rawValue) }
}

/// The values of `--dtype`.
enum DTypeChoice: String, ExpressibleByArgument, CaseIterable {
  case f32, bf16, auto

  /// The type chosen; nil for auto.
  var dtype: DType? {
    switch self {
    case .f32: .float32
    case .bf16: .bfloat16
    case .auto: nil
    }
  }
}

/// The values of `--device`.
struct DeviceChoice: ExpressibleByArgument {
  /// A GPU where there is one.
  static let auto = DeviceChoice(device: nil)

  /// The device chosen; nil for auto.
  let device: Device?

  private init(device: Device?) { self.device = device }

  init?(argument: String) {
    guard case .success(let device) = Result(catching: { try ModelOptions.device(argument) }) else { return nil }
    self.device = device
  }

  var defaultValueDescription: String { "auto" }

  static var allValueStrings: [String] { ["cpu", "cuda", "cuda:N", "auto"] }
}
