import Checkpoints
import Foundation
import NN
import Text
import Torch

/// An adapter on disk as PEFT keeps it: `adapter_config.json` and `adapter_model.safetensors`.
public enum AdapterFolder {
  /// The name of the settings.
  public static let configName = "adapter_config.json"
  /// The name of the tensors.
  public static let weightsName = "adapter_model.safetensors"
  static let prefix = "base_model.model."

  /// The settings in a folder.
  ///
  /// - Throws: ``TunerError`` or `CheckpointError` that names file and key.
  public static func configuration(_ folder: URL) throws -> any TuningMethod {
    let url = folder.appending(path: configName)
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw TunerError("\(folder.path) is no adapter: it holds no \(configName)")
    }
    let json = try JSONFile.object(at: url)
    if json["fine_tune_type"] != nil {
      throw TunerError("\(folder.path) holds an adapter of mlx-lm's; `attune adapters convert` makes one of PEFT's of it")
    }
    guard let type = json["peft_type"]?.string else { throw TunerError("\(url.path): “peft_type” is missing") }
    guard let reader = MethodReader.registry[type] else {
      let known = MethodReader.registry.keys.sorted().joined(separator: ", ")
      throw TunerError("\(url.path): “peft_type” is “\(type)”; known are \(known)")
    }
    return try reader.read(json, url.path)
  }

  /// `base_model_name_or_path` of a folder, where it says one.
  public static func baseModel(_ folder: URL) throws -> String? {
    try JSONFile.object(at: folder.appending(path: configName))["base_model_name_or_path"]?.string
  }

  /// Writes an adapter into `folder`, which is made where it is missing.
  ///
  /// - Parameters:
  ///   - adapter: what is written.
  ///   - base: `base_model_name_or_path`.
  ///   - folder: where to.
  public static func save(_ adapter: Adapter, base: String, to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let tensors = adapter.parameters.map { (prefix + $0.path, $0.value) }
    try Safetensors.write(tensors, to: folder.appending(path: weightsName))
    try AtomicFile.write(
      adapter.configuration.adapterConfig(base: base, adapter: adapter), to: folder.appending(path: configName))
  }

  /// Installs the adapter of a folder and makes it the only one at work.
  ///
  /// - Throws: ``TunerError`` that names every key that is missing, superfluous or misshapen; the model is as before then.
  @discardableResult
  public static func load(_ folder: URL, into set: AdapterSet, named name: String = "default") throws -> Adapter {
    let method = try configuration(folder)
    let file = try SafetensorsFile(weights(folder))
    let adapter = try set.add(method, named: name, strict: false)
    do {
      try fill(adapter, from: file)
    } catch {
      try set.remove(name)
      throw error
    }
    return adapter
  }

  /// Overwrites what an installed adapter owns with the tensors of a folder.
  public static func restore(_ adapter: Adapter, from folder: URL) throws {
    try fill(adapter, from: try SafetensorsFile(weights(folder)))
  }

  /// The file with the tensors.
  ///
  /// - Throws: ``TunerError`` where there is none, or a pickle.
  public static func weights(_ folder: URL) throws -> URL {
    let url = folder.appending(path: weightsName)
    if FileManager.default.fileExists(atPath: url.path) { return url }
    if FileManager.default.fileExists(atPath: folder.appending(path: "adapter_model.bin").path) {
      throw TunerError(
        "\(folder.path) holds adapter_model.bin, a pickle, which can run code when it is read; save it again with safe_serialization"
      )
    }
    throw TunerError("\(folder.path) holds no \(weightsName)")
  }

  private static func fill(_ adapter: Adapter, from file: SafetensorsFile) throws {
    var unused = Set(file.names)
    var loaded: [(target: Tensor, source: Tensor)] = []
    var missing: [String] = []
    for (path, value) in adapter.parameters {
      let key = prefix + path
      guard let info = file.info(key) else {
        missing.append(key)
        continue
      }
      unused.remove(key)
      guard info.shape == value.shape else {
        throw TunerError(
          "\(file.path): tensor “\(key)” has shape \(info.shape), and the model and adapter_config.json ask for \(value.shape)")
      }
      loaded.append((value, try file.tensor(key, as: value.dtype)))
    }
    guard missing.isEmpty, unused.isEmpty else {
      throw TunerError("\(file.path) does not fit: " + complaint(missing: missing, unused: unused.sorted()))
    }
    try withoutGradients {
      for (target, source) in loaded { try target.copyInPlace(source) }
    }
  }

  private static func complaint(missing: [String], unused: [String]) -> String {
    var problems: [String] = []
    if !missing.isEmpty { problems.append("it lacks \(listing(missing))") }
    if !unused.isEmpty { problems.append("nothing takes its \(listing(unused))") }
    return problems.joined(separator: "; ")
  }

  static func listing(_ names: [String]) -> String {
    let shown = names.prefix(4).map { "“\($0)”" }.joined(separator: ", ")
    return names.count > 4 ? "\(shown) and \(names.count - 4) more" : shown
  }
}
