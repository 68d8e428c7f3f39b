import Checkpoints
import Foundation
import NN
import OrderedCollections
import Text
import Torch

/// An adapter on disk as PEFT keeps it: `adapter_config.json` and `adapter_model.safetensors`; or, where the method is one of
/// AdapterHub's, as its package does.
public enum AdapterFolder {
  /// The name of the settings.
  public static let configName = "adapter_config.json"
  /// The name of the tensors.
  public static let weightsName = "adapter_model.safetensors"
  /// The name of what PEFT's format has no place for, and training needs to go on exactly.
  public static let stateName = "attune-state.safetensors"

  /// Where the settings of a folder stand; nil where it holds no adapter.
  public static func settings(_ folder: URL) -> URL? {
    [configName, FusionFolder.configName].lazy.map { folder.appending(path: $0) }.first {
      FileManager.default.fileExists(atPath: $0.path)
    }
  }

  /// The settings in a folder.
  ///
  /// - Throws: ``TunerError`` or `CheckpointError` that names file and key.
  public static func configuration(_ folder: URL) throws -> any TuningMethod {
    if FusionFolder.isOne(folder) { return try FusionFolder.configuration(folder) }
    let url = folder.appending(path: configName)
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw TunerError("\(folder.path) is no adapter: it holds no \(configName)")
    }
    let json = try JSONFile.object(at: url)
    if json["fine_tune_type"] != nil {
      throw TunerError("\(folder.path) holds an adapter of mlx-lm's; `attune adapters convert` makes one of PEFT's of it")
    }
    if AdapterHubFolder.isOne(json) { return try AdapterHubFolder.configuration(json, path: url.path) }
    guard let type = json["peft_type"]?.string else { throw TunerError("\(url.path): “peft_type” is missing") }
    guard var method = Methods.make(peftType: type) else {
      let known = Methods.peftTypes.joined(separator: ", ")
      throw TunerError("\(url.path): “peft_type” is “\(type)”; known are \(known)")
    }
    try method.read(adapterConfig: AdapterConfigReader(json: withoutScoreHead(json), path: url.path))
    return method
  }

  /// `base_model_name_or_path` of a folder, where it says one.
  public static func baseModel(_ folder: URL) throws -> String? {
    let json = try JSONFile.object(at: settings(folder) ?? folder.appending(path: configName))
    return json[AdapterHubFolder.isOne(json) ? AdapterHubFolder.baseKey : "base_model_name_or_path"]?.string
  }

  /// Writes an adapter into `folder`, which is made where it is missing.
  ///
  /// - Parameters:
  ///   - adapter: what is written.
  ///   - base: `base_model_name_or_path`.
  ///   - folder: where to.
  /// - Throws: ``TunerError`` for a method that PEFT has no files for.
  public static func save(_ adapter: Adapter, base: String, to folder: URL) throws {
    if adapter.configuration.files == .adapterHub { return try AdapterHubFolder.save(adapter, base: base, to: folder) }
    let config = try adapterConfig(adapter, base: base)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try write(adapter.saved, to: folder.appending(path: weightsName))
    let (state, url) = (adapter.state, folder.appending(path: stateName))
    if !state.isEmpty { try write(state, to: url) } else { try? FileManager.default.removeItem(at: url) }
    try AtomicFile.write(config.text(.pretty) + "\n", to: folder.appending(path: configName))
  }

  /// Writes those tensors that are to be written.
  static func write(_ tensors: [SavedTensor], to url: URL) throws {
    try Safetensors.write(try tensors.filter(\.isWritten).map { ($0.name, try $0.value()) }, to: url)
  }

  /// What `adapter_config.json` says of an installed adapter.
  ///
  /// - Parameters:
  ///   - adapter: the adapter.
  ///   - base: `base_model_name_or_path`.
  /// - Throws: ``TunerError`` for a method that PEFT has no files for.
  public static func adapterConfig(_ adapter: Adapter, base: String) throws -> JSON {
    let method = adapter.configuration
    guard let type = method.peftType else {
      throw TunerError("what “\(method.name)” tunes are the model's own weights: they are saved as a model, not as an adapter")
    }
    var own = try method.adapterConfig(for: adapter)
    guard let head = adapter.scoreHead else { return adapterConfig(own, peftType: type, base: base) }
    let modules = (own["modules_to_save"]?.array ?? []).filter { !Adapter.scoreHeadNames.contains($0.string ?? "") }
    own["modules_to_save"] = .array(modules + ["score"])
    return adapterConfig(own, peftType: type, base: base, task: taskType(head))
  }

  /// A method's own keys with those that every method has.
  static func adapterConfig(
    _ own: OrderedDictionary<String, JSON>, peftType type: String, base: String, task: String = "CAUSAL_LM"
  ) -> JSON {
    var config = own
    for (key, value) in [
      ("auto_mapping", JSON.null), ("base_model_name_or_path", .string(base)), ("inference_mode", true),
      ("peft_type", .string(type)), ("revision", .null), ("task_type", .string(task)),
    ] { config[key] = value }
    config.sort { $0.key < $1.key }
    return .object(config)
  }

  /// Installs the adapter of a folder and makes it the only one at work. A model without a score head gets one where the folder has it.
  ///
  /// - Parameters:
  ///   - folder: where it lies.
  ///   - set: the model's adapters.
  ///   - name: what it is called among them; without a dot.
  ///   - scores: give it a copy of the model's score head where the folder has none.
  /// - Throws: ``TunerError`` that names every key that is missing, superfluous or misshapen; the model is as before then.
  @discardableResult
  public static func load(
    _ folder: URL, into set: AdapterSet, named name: String = "default", scores: Bool = false
  ) throws -> Adapter {
    let method = try configuration(folder)
    // A folder without weights is refused before the model is touched.
    _ = try weights(folder)
    if method.files == .adapterHub { try AdapterHubFolder.refuseOtherHead(folder, of: set.model) }
    let (before, head) = (set.model.score, try scoreHead(folder))
    if let head, before == nil { try set.model.setScoreHead(head, deviation: 0) }
    do {
      // One that is new keeps the numbers of the model's; a folder that holds none has none to fill.
      let adapter = try set.add(method, named: name, strict: false, scores: head != nil)
      do { try restore(adapter, from: folder) } catch {
        try set.remove(name)
        throw error
      }
      return scores ? try set.addScoreHead(to: adapter) : adapter
    } catch {
      set.model.score = before
      throw error
    }
  }

  /// Overwrites what an installed adapter owns with the tensors of a folder.
  public static func restore(_ adapter: Adapter, from folder: URL) throws {
    // The state first: of what is saved it may say which part there is.
    let state = folder.appending(path: stateName)
    if !adapter.state.isEmpty, FileManager.default.fileExists(atPath: state.path) {
      try fill(adapter.state, from: try SafetensorsFile(state))
    }
    if adapter.configuration.files == .adapterHub { return try AdapterHubFolder.restore(adapter, from: folder) }
    try fill(adapter.saved, from: try SafetensorsFile(weights(folder)))
  }

  /// The file with the tensors.
  ///
  /// - Throws: ``TunerError`` where there is none, or a pickle.
  public static func weights(_ folder: URL) throws -> URL {
    let holds = { (name: String) in FileManager.default.fileExists(atPath: folder.appending(path: name).path) }
    let names = [weightsName, AdapterHubFolder.weightsName, FusionFolder.weightsName]
    if let name = names.first(where: holds) { return folder.appending(path: name) }
    let pickles = [("adapter_model.bin", "safe_serialization"), AdapterHubFolder.pickle, FusionFolder.pickle]
    for (name, advice) in pickles where holds(name) {
      throw TunerError(
        "\(folder.path) holds \(name), a pickle, which can run code when it is read; save it again with \(advice)")
    }
    throw TunerError("\(folder.path) holds none of \(names.joined(separator: ", "))")
  }

  /// Puts the tensors of a file back.
  ///
  /// - Throws: ``TunerError`` that names every one that is missing, superfluous or misshapen; nothing is changed then.
  static func fill(_ tensors: [SavedTensor], from file: SafetensorsFile) throws {
    var unused = Set(file.names)
    var loaded: [(target: SavedTensor, source: Tensor)] = []
    var missing: [String] = []
    for tensor in tensors {
      guard let info = file.info(tensor.name) else {
        if tensor.isWritten { missing.append(tensor.name) }
        continue
      }
      unused.remove(tensor.name)
      guard info.shape == tensor.shape else {
        throw TunerError(
          "\(file.path): tensor “\(tensor.name)” has shape \(info.shape), and the model and adapter_config.json ask for "
            + "\(tensor.shape)")
      }
      loaded.append((tensor, try file.tensor(tensor.name, as: .float32)))
    }
    guard missing.isEmpty, unused.isEmpty else {
      throw TunerError("\(file.path) does not fit: " + complaint(missing: missing, unused: unused.sorted()))
    }
    try withoutGradients {
      for (target, source) in loaded { try target.restore(source) }
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
