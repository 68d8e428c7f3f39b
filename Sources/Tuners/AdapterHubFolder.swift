import Checkpoints
import Foundation
import NN
import OrderedCollections
import Text
import Torch

/// An adapter on disk as AdapterHub's package `adapters` keeps it: `adapter_config.json`, whose `config` holds the settings, and
/// `adapter.safetensors`.
public enum AdapterHubFolder {
  /// The name of the tensors.
  public static let weightsName = "adapter.safetensors"
  /// The name of the tensors where they are a pickle, and how to get others.
  static let pickle = ("pytorch_adapter.bin", "save_adapter(…, use_safetensors=True)")
  /// The tensors of a head of its own, in either form.
  private static let headNames = ["model_head.safetensors", "pytorch_model_head.bin"]
  /// Where the settings name the model.
  public static let baseKey = "model_name"
  /// The version of the package whose layout this is.
  private static let version = "adapters.1.3.0"

  /// Whether an `adapter_config.json` is one of the package's.
  public static func isOne(_ json: JSON) -> Bool {
    json["peft_type"] == nil && (json["config"]?.object != nil || json["config"]?.string != nil)
  }

  /// The settings in an `adapter_config.json`.
  ///
  /// - Throws: ``TunerError`` that names file and key.
  static func configuration(_ json: JSON, path: String) throws -> any TuningMethod {
    let reader = AdapterConfigReader(json: json["config"] ?? .null, path: path)
    if let name = json["config"]?.string {
      // What the package calls a configuration, which files of its first versions hold in place of the settings.
      guard let method = Methods.make(name) as? BottleneckConfiguration else {
        throw TunerError(
          "\(path): “config” is “\(name)”, which is no bottleneck adapter's; load and save it with a newer package")
      }
      return method
    }
    guard let architecture = try reader.string("architecture"), architecture != "bottleneck" else {
      var method = BottleneckConfiguration()
      try method.read(adapterConfig: json["version"] == nil ? try reader.renamed() : reader)
      return method
    }
    throw TunerError(
      "\(path): “architecture” is “\(architecture)”; of AdapterHub's adapters bottleneck adapters are read, and the others where PEFT "
        + "saved them")
  }

  /// Writes an adapter into a folder, which is made where it is missing.
  static func save(_ adapter: Adapter, base: String, to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    if adapter.configuration is FusionConfiguration { return try FusionFolder.save(adapter, base: base, to: folder) }
    let tensors = adapter.saved.map { $0.named(fileName($0.name, adapter: adapter.name)) }
    try AdapterFolder.write(tensors, to: folder.appending(path: weightsName))
    let config = try config(adapter, base: base, name: adapter.name)
    try AtomicFile.write(config.text(.pretty) + "\n", to: folder.appending(path: AdapterFolder.configName))
  }

  /// What a file of settings says of an adapter.
  static func config(
    _ adapter: Adapter, base: String, name: String, _ more: OrderedDictionary<String, JSON> = [:]
  ) throws -> JSON {
    var members = more
    members["config"] = .object(sorted(try adapter.configuration.adapterConfig(for: adapter)))
    for (key, value) in [(baseKey, base), ("name", name), ("version", version)] { members[key] = .string(value) }
    return .object(sorted(members))
  }

  private static func sorted(_ members: OrderedDictionary<String, JSON>) -> OrderedDictionary<String, JSON> {
    var members = members
    members.sort { $0.key < $1.key }
    return members
  }

  /// Overwrites what an installed adapter owns with the tensors of a folder.
  ///
  /// - Throws: ``TunerError`` that names every tensor that is missing, superfluous or misshapen.
  static func restore(_ adapter: Adapter, from folder: URL) throws {
    if adapter.configuration is FusionConfiguration { return try FusionFolder.restore(adapter, from: folder) }
    let url = folder.appending(path: AdapterFolder.configName)
    guard let name = try JSONFile.object(at: url)["name"]?.string else { throw TunerError("\(url.path): “name” is missing") }
    let file = try SafetensorsFile(AdapterFolder.weights(folder))
    // Adapters of a model without a head are saved without the first part of its paths.
    let roots = Set(adapter.saved.compactMap { $0.name.split(separator: ".").first.map(String.init) })
    let isBare = !file.names.contains { name in roots.contains { name.hasPrefix("\($0).") } }
    let tensors = adapter.saved.map { tensor in
      let whole = fileName(tensor.name, adapter: name)
      return tensor.named(isBare ? whole.split(separator: ".").dropFirst().joined(separator: ".") : whole)
    }
    try AdapterFolder.fill(tensors, from: file)
  }

  /// What a tensor is called in a file, which has the adapter's name in it.
  static func fileName(_ path: String, adapter: String) -> String {
    let places = [
      ("attention_adapters.", "adapters."), ("output_adapters.", "adapters."), ("shared_parameters.", ""),
      ("invertible_adapters.", ""),
    ]
    for (place, infix) in places {
      guard let range = path.firstRange(of: place) else { continue }
      return "\(path[..<range.upperBound])\(infix)\(adapter).\(path[range.upperBound...])"
    }
    return path
  }

  /// Refuses an adapter that comes with a head other than the model's.
  ///
  /// - Throws: ``TunerError`` where it does, or where that cannot be told.
  static func refuseOtherHead(_ folder: URL, of model: any CausalLM) throws {
    guard let name = headNames.first(where: { FileManager.default.fileExists(atPath: folder.appending(path: $0).path) }) else {
      return
    }
    let url = folder.appending(path: name)
    let advice = "save the adapter with with_head=False to do without it"
    guard name.hasSuffix(".safetensors") else {
      throw TunerError("\(url.path) is a head as a pickle, which can run code when it is read; \(advice)")
    }
    let file = try SafetensorsFile(url)
    let own = try model.head.denseWeight()
    for tensor in file.names {
      let fits = file.names.count == 1 && file.info(tensor)?.shape == own.shape
      guard fits, try file.tensor(tensor, as: own.dtype).to(own.device).isEqual(to: own) else {
        throw TunerError("\(url.path) holds “\(tensor)”, which is not the model's head; Attune uses the model's own: \(advice)")
      }
    }
  }
}

extension AdapterConfigReader {
  /// The settings with functions by the names they have today: before files had a version, `gelu` was the approximate one.
  fileprivate func renamed() throws(TunerError) -> AdapterConfigReader {
    guard var members = json.object, let old = try string("non_linearity") else { return self }
    members["non_linearity"] = .string(["gelu": "gelu_new", "gelu_orig": "gelu"][old] ?? old)
    return AdapterConfigReader(json: .object(members), path: path)
  }
}
