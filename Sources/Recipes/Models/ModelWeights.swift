import Checkpoints
import Foundation
import Models
import NN
import Torch
import Tuners

/// What to load a model as.
public struct ModelOptions: Sendable, Hashable {
  /// The element type of frozen weights; nil for the fastest that is exact enough here.
  public var dtype: DType?
  /// Where to compute; nil for a GPU where there is one.
  public var device: Device?
  /// Threads inside one operation; nil for all cores.
  public var threads: Int?
  /// What to keep the weights of projections in; nil for what the files have, and dense weights out of GGUF files.
  public var quantization: Quantization?

  /// Options by name.
  public init(dtype: DType? = nil, device: Device? = nil, threads: Int? = nil, quantization: Quantization? = nil) {
    self.dtype = dtype
    self.device = device
    self.threads = threads
    self.quantization = quantization
  }

  /// The device to use.
  ///
  /// - Throws: ``RecipeError`` where a GPU is asked for and there is none.
  public func resolvedDevice() throws(RecipeError) -> Device {
    let device = self.device ?? (TorchRuntime.hasCUDA ? .cuda(0) : .cpu)
    if case .cuda(let index) = device, index >= TorchRuntime.cudaDeviceCount {
      throw RecipeError("there is no GPU \(index) that this libtorch can use; `attune doctor` says what there is")
    }
    return device
  }

  /// The element type to use: bfloat16 on a GPU, and on a processor whose products it makes faster.
  public func resolvedDType(on device: Device) -> DType {
    if let dtype { return dtype }
    if case .cuda = device { return .bfloat16 }
    return Processor.prefersBFloat16 ? .bfloat16 : .float32
  }
}

/// A model's weights with the adapters installed in them: what scoring and merging need, without a tokenizer.
public final class ModelWeights {
  /// The folder or file as it lies on disk.
  public let files: ModelFiles
  /// The weights.
  public let model: any CausalLM
  /// The adapters installed.
  public let adapters: AdapterSet
  /// The vocabulary where it has grown beyond that of the files.
  public private(set) var vocabulary: GrownVocabulary?
  private let quantization: Quantization?

  /// Loads the weights of a folder or .gguf file, tensor by tensor: beside what is kept, memory holds one of them as the file has it and
  /// one as it is converted.
  ///
  /// - Parameters:
  ///   - url: the folder or file.
  ///   - options: what to load it as.
  ///   - numbers: what projections are kept in that are not packed.
  ///   - keep: where the bits of a weight that is packed now go; nil for memory.
  /// - Throws: `CheckpointError`, `ModelError` or `TorchError` that names file, key or tensor; ``RecipeError`` for a GPU that
  ///   is not there.
  public init(
    _ url: URL, options: ModelOptions = ModelOptions(), projections numbers: ProjectionNumbers = .converted,
    keepingPacked keep: ((Tensor) throws -> Tensor)? = nil
  ) throws {
    let device = try options.resolvedDevice()
    if let threads = options.threads { try TorchRuntime.setThreads(threads) }
    files = try ModelFiles(url)
    model = try ModelLoader.load(
      ModelConfiguration(files.config, path: files.path), weights: files.weights, dtype: options.resolvedDType(on: device),
      device: device, packing: options.quantization?.packing, projections: numbers, keepingPacked: keep)
    quantization = options.quantization
    adapters = try AdapterSet(model)
  }

  /// Lets the pages of the files go that a parameter lies over; they are read again where it is used again.
  func release(_ path: String) {
    let configuration = ModelConfiguration(files.config, path: files.path)
    guard let name = try? ModelLoader.name(of: path, in: files.weights, configuration) else { return }
    files.weights.release(name)
  }

  /// The folder or file it came from.
  public var path: String { files.path }

  /// What tells these weights from others; found once, when an adapter that names its base is loaded.
  private lazy var baseRecord = Result {
    var record = try files.baseRecord(dtype: model.dtype.rawValue)
    record.quantization = quantization?.record ?? record.quantization
    return record
  }

  /// What an adapter that is trained on these weights notes of them.
  ///
  /// - Throws: what reading them throws.
  public func recordBase() throws -> AdapterRecord.Base { try baseRecord.get() }

  /// Refuses an adapter that was trained on other weights than these, or on these quantized otherwise, by what it noted of them; one
  /// that noted nothing passes.
  ///
  /// - Throws: ``RecipeError`` that names both bases and says what to do.
  public func refuseOtherBase(ofAdapterIn folder: URL) throws {
    guard let noted = try AdapterRecord(readingFrom: folder)?.base else { return }
    let own = try recordBase()
    guard noted.isSameModel(as: own) else {
      throw RecipeError(
        "the adapter \(folder.path) was trained on another base than \(path): on \(noted.fingerprint) (\(noted.form)), and "
          + "this is \(own.fingerprint) (\(own.form)). Give the model it was trained on; --any-base uses it here all the same")
    }
    guard !noted.isSameForm(as: own) else { return }
    throw RecipeError(
      "the adapter \(folder.path) was trained over the weights of this model \(noted.form), and here they are \(own.form): "
        + "\(Self.remedy(noted.quantization, files)); --any-base uses it here all the same")
  }

  /// How to have the weights in a form.
  private static func remedy(_ wanted: BaseQuantization?, _ files: ModelFiles) -> String {
    guard let wanted else {
      return files.quantization == nil
        ? "leave the quantization out" : "give the model that \(files.path) was quantized from"
    }
    if let own = files.quantization {
      return own.isSame(as: wanted)
        ? "leave the quantization out" : "give the model itself, or the folder that was quantized as \(wanted)"
    }
    guard let quantization = Quantization(wanted) else { return "give the file that it was trained over" }
    let kind = quantization.kind.rawValue
    return wanted.doubleQuant || quantization.kind == .int8
      ? "load it with --quantize \(kind) (in a recipe: `quantization: \(kind)`)"
      : "load it with --quantize \(kind) --no-double-quant (in a recipe: `quantization: { type: \(kind), double_quant: false }`)"
  }

  /// Refuses a model that scores texts and has no head to predict tokens with.
  ///
  /// - Throws: ``RecipeError`` that says what such a model is for.
  public func refuseWithoutTokens() throws(RecipeError) {
    guard !model.predictsTokens else { return }
    throw RecipeError(
      "\(path) is a reward model, which scores texts and predicts no tokens: `attune reward score` uses it, and objectives that train a "
        + "score")
  }

  /// Installs saved adapters; the ones given last apply last, all together.
  ///
  /// - Parameters:
  ///   - folders: adapter folders, or folders of runs that hold one.
  ///   - anyBase: take adapters that were trained on other weights, too.
  ///   - scores: take adapters that make the model score texts, too.
  /// - Throws: ``RecipeError`` where a folder holds no adapter or one that does not fit; `CheckpointError` for damaged files.
  public func load(adapters folders: [String], anyBase: Bool = false, scores: Bool = false) throws {
    try load(weighted: folders.map { WeightedAdapter($0) }, anyBase: anyBase, scores: scores)
  }

  /// The same with a weight for each.
  ///
  /// - Throws: besides, `TunerError` for an adapter that cannot have its weight.
  public func load(weighted sources: [WeightedAdapter], anyBase: Bool = false, scores: Bool = false) throws {
    var uses: [AdapterUse] = []
    for source in sources {
      let url = try Self.adapterFolder(source.folder)
      if !scores, try AdapterFolder.scoreHead(url) != nil {
        throw RecipeError(
          "the adapter \(url.path) is a reward model's, which scores texts and predicts no tokens: `attune reward score` uses it, and "
            + "`attune merge`")
      }
      if !anyBase { try refuseOtherBase(ofAdapterIn: url) }
      let base = AdapterPlaces.name(of: url).replacing(".", with: "_")
      let name = uses.contains { $0.name == base } ? "\(base)_\(uses.count)" : base
      try growVocabulary(asAdapterIn: url)
      do {
        try AdapterFolder.load(url, into: adapters, named: name)
      } catch let error as TunerError {
        let base = try AdapterFolder.baseModel(url).map { "; it was made for the model “\($0)”" } ?? ""
        throw RecipeError("the adapter does not fit \(path): \(error)\(base)")
      }
      uses.append(AdapterUse(name, weight: source.weight))
    }
    if !uses.isEmpty { try adapters.activate(uses: uses) }
  }

  /// Gives new tokens rows in the model, before any adapter is installed.
  ///
  /// - Throws: ``RecipeError`` where the vocabulary has grown already, or a part of the model is quantized.
  func grow(_ grown: GrownVocabulary) throws {
    guard vocabulary == nil, adapters.adapters.isEmpty else {
      throw RecipeError(
        "\(grown.files.path) adds tokens to the vocabulary, which takes an adapter for itself: use one that does so, and as the first"
      )
    }
    try grown.grow(model)
    vocabulary = grown
  }

  /// Grows the vocabulary where the folder of an adapter has a tokenizer with more tokens.
  func growVocabulary(asAdapterIn folder: URL) throws {
    let holdsTokenizer = FileManager.default.fileExists(atPath: folder.appending(path: TokenizerFiles.tokenizerName).path)
    guard holdsTokenizer, let base = try? TokenizerFiles(URL(filePath: path)) else { return }
    if let grown = try GrownVocabulary(inAdapter: folder, over: base) { try grow(grown) }
  }

  /// The folder with the adapter that a user means: that folder itself, or the folder of a run that holds it as `adapter`.
  ///
  /// - Throws: ``RecipeError`` where neither holds an adapter.
  public static func adapterFolder(_ path: String) throws(RecipeError) -> URL {
    let folder = URL(filePath: path).standardizedFileURL
    for candidate in [folder, folder.appending(path: "adapter")] where AdapterFolder.settings(candidate) != nil {
      return candidate
    }
    guard FileManager.default.fileExists(atPath: folder.path) else {
      throw RecipeError("there is no adapter at “\(path)”: no such folder")
    }
    throw RecipeError(
      "“\(path)” holds no adapter: neither \(AdapterFolder.configName) nor adapter/\(AdapterFolder.configName) is in it; "
        + "give the folder of a finished run, or the adapter's own")
  }
}
