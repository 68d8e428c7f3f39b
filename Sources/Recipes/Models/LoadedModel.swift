import Checkpoints
import Foundation
import Models
import NN
import Text
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

  /// Options by name.
  public init(dtype: DType? = nil, device: Device? = nil, threads: Int? = nil) {
    self.dtype = dtype
    self.device = device
    self.threads = threads
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

  /// The element type to use: bfloat16 on a GPU, and on a processor that multiplies it in hardware.
  public func resolvedDType(on device: Device) -> DType {
    if let dtype { return dtype }
    if case .cuda = device { return .bfloat16 }
    return Processor.multipliesBFloat16 ? .bfloat16 : .float32
  }
}

/// A model ready for use: weights, tokenizer, template and adapters.
public final class LoadedModel {
  /// The folder or file it came from.
  public let path: String
  /// The weights.
  public let model: any CausalLM
  /// Tokenizer and templates.
  public let text: TextSide
  /// The adapters installed.
  public let adapters: AdapterSet
  /// Ids at which an answer ends.
  public let stopTokens: Set<Int32>
  /// Sampling defaults of the model's files.
  public let generationConfig: JSON?

  /// Loads a model by name or path.
  ///
  /// - Parameter store: where names are looked up.
  /// - Throws: an error of the part that failed, naming file, key or tensor.
  public init(_ name: String, options: ModelOptions = ModelOptions(), store: ModelStore = .standard) throws {
    let url = try store.resolve(name)
    let device = try options.resolvedDevice()
    if let threads = options.threads { try TorchRuntime.setThreads(threads) }
    let files = try ModelFiles(url)
    path = files.path
    text = try TextSide(url)
    generationConfig = files.generationConfig
    model = try ModelLoader.load(
      ModelConfiguration(files.config, path: files.path), weights: files.weights, dtype: options.resolvedDType(on: device),
      device: device)
    adapters = try AdapterSet(model)
    stopTokens = LoadedModel.stopTokens(files, tokenizer: text.tokenizer)
    guard text.tokenizer.vocabularySize <= model.shape.vocabularySize else {
      throw RecipeError(
        "\(path): the tokenizer has \(text.tokenizer.vocabularySize) tokens and the model \(model.shape.vocabularySize) rows for them"
      )
    }
  }

  /// Installs saved adapters; the ones given last apply last, all together.
  public func load(adapters folders: [String]) throws {
    var names: [String] = []
    for folder in folders {
      let url = URL(filePath: folder)
      let base = url.lastPathComponent.replacing(".", with: "_")
      let name = names.contains(base) ? "\(base)_\(names.count)" : base
      try AdapterFolder.load(url, into: adapters, named: name)
      names.append(name)
    }
    if !names.isEmpty { try adapters.activate(names) }
  }

  private static func stopTokens(_ files: ModelFiles, tokenizer: BPETokenizer) -> Set<Int32> {
    var ids: Set<Int32> = []
    for source in [files.generationConfig, files.config] {
      switch source?["eos_token_id"] {
      case .int(let id): ids.insert(Int32(clamping: id))
      case .array(let list): ids.formUnion(list.compactMap(\.int).map { Int32(clamping: $0) })
      default: break
      }
    }
    if let eos = tokenizer.special.eos, let id = tokenizer.id(of: eos) { ids.insert(id) }
    return ids
  }
}
