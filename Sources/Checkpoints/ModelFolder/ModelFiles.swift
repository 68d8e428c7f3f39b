import Foundation
import OrderedCollections
import Text

/// A model as it lies on disk: a Hugging Face folder or one GGUF file, with the same face.
///
/// Opening reads the configuration and the headers of the weights. The tokenizer is read by ``TokenizerFiles``, which needs no weights.
public struct ModelFiles: Sendable {
  /// The folder or file.
  public let path: String
  /// The configuration, in the form of `config.json`.
  public let config: JSON
  /// Sampling defaults and the tokens that end a generation, in the form of `generation_config.json`; nil where there are none.
  public let generationConfig: JSON?
  /// The weights under Hugging Face's names.
  public let weights: any CheckpointSource

  /// Opens a model.
  ///
  /// - Parameter url: a folder with `config.json` and safetensors weights, or a GGUF file.
  /// - Throws: ``CheckpointError`` where nothing is there, a part is missing or damaged, or the weights are in a format that runs
  ///   code when it is read.
  public init(_ url: URL) throws(CheckpointError) {
    switch try ModelLocation(url) {
    case .gguf(let url):
      let model = try GGUFModel(GGUFFile(url))
      path = url.path
      config = model.config
      generationConfig = try model.generationConfig()
      weights = model
    case .folder(let url):
      let folder = ModelFolder(url: url)
      path = url.path
      config = try folder.config()
      generationConfig = try folder.object("generation_config.json")
      let stored = try folder.weights()
      weights = try Self.quantizationMethod(config) == "bitsandbytes" ? Self.packed(stored) : stored
    }
  }
}

extension ModelFiles {
  /// How config.json says that weights are quantized; nil where it says nothing.
  private static func quantizationMethod(_ config: JSON) -> String? { config["quantization_config"]?["quant_method"]?.string }

  /// The weights that bitsandbytes packed, whole; they are as they are where it packed none.
  private static func packed(_ stored: any CheckpointSource) throws(CheckpointError) -> any CheckpointSource {
    do {
      if let packed = try BitsAndBytesWeights(stored) { return packed }
      return stored
    } catch let error as CheckpointError {
      throw error
    } catch {
      throw CheckpointError(.malformed, at: stored.path, "\(error)")
    }
  }
}

/// What a path given as a model is.
enum ModelLocation {
  case folder(URL)
  case gguf(URL)

  init(_ url: URL) throws(CheckpointError) {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw CheckpointError(
        .missing, at: url.path, "there is no such file or folder",
        remedy: "Give a Hugging Face folder or a .gguf file, or a name that `attune models list` shows")
    }
    if isFolder.boolValue {
      self = .folder(url)
      return
    }
    let file = try MappedFile(url)
    try LFSPointer.refuse(file)
    guard file.bytes.starts(with: "GGUF".utf8) else {
      throw CheckpointError(
        .unsupported, at: url.path, "is not a GGUF file", remedy: "For other formats give the folder that holds config.json")
    }
    self = .gguf(url)
  }
}

extension GGUFModel {
  /// The tokens that end a generation, where the file names any.
  func generationConfig() throws(CheckpointError) -> JSON? {
    var ends: [JSON] = []
    for name in ["eos", "eot", "eom"] {
      if let id = try file.metadata.int("tokenizer.ggml.\(name)_token_id"), !ends.contains(.int(id)) { ends.append(.int(id)) }
    }
    guard !ends.isEmpty else { return nil }
    var config: OrderedDictionary<String, JSON> = [:]
    if let start = self.config["bos_token_id"] { config["bos_token_id"] = start }
    config["eos_token_id"] = ends.count == 1 ? ends[0] : .array(ends)
    return .object(config)
  }
}
