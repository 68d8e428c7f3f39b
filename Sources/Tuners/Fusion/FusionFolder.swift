import Checkpoints
import Foundation
import OrderedCollections
import Text

/// A fusion on disk: `adapter_fusion_config.json` and `model_adapter_fusion.safetensors` as AdapterHub's package keeps them, and each
/// adapter in a folder of its name, as the package keeps the adapters of a set-up.
public enum FusionFolder {
  /// The name of the settings.
  public static let configName = "adapter_fusion_config.json"
  /// The name of the tensors.
  public static let weightsName = "model_adapter_fusion.safetensors"
  /// The name of the tensors where they are a pickle, and how to get others.
  static let pickle = ("pytorch_model_adapter_fusion.bin", "save_adapter_fusion(…, use_safetensors=True)")

  /// Whether a folder holds a fusion.
  public static func isOne(_ folder: URL) -> Bool {
    FileManager.default.fileExists(atPath: folder.appending(path: configName).path)
  }

  /// The settings in a folder, with the adapters in it.
  static func configuration(_ folder: URL) throws -> FusionConfiguration {
    let url = folder.appending(path: configName)
    let json = try JSONFile.object(at: url)
    let names = try AdapterConfigReader(json: json, path: url.path).strings("adapter_names") ?? []
    guard names.count > 1 else { throw TunerError("\(url.path): “adapter_names” must name two adapters at least") }
    var method = FusionConfiguration()
    try method.read(adapterConfig: AdapterConfigReader(json: json["config"] ?? .null, path: url.path))
    method.adapters = try names.map { name in
      guard !name.isEmpty, !name.hasPrefix("."), !name.contains("/") else {
        throw TunerError("\(url.path): “adapter_names” has “\(name)”, which is no name of a folder")
      }
      let adapter = folder.appending(path: name)
      guard FileManager.default.fileExists(atPath: adapter.appending(path: AdapterFolder.configName).path) else {
        throw TunerError(
          "\(folder.path) is a fusion of \(names.joined(separator: ", ")), and the adapter “\(name)” is not in it: save that one into "
            + "\(adapter.path)")
      }
      return adapter.path
    }
    return method
  }

  /// The folder of an adapter that a user means: itself, or that of a run that holds it as `adapter`.
  ///
  /// - Throws: ``TunerError`` where neither holds one.
  static func adapter(_ path: String) throws(TunerError) -> URL {
    let folder = URL(filePath: path).standardizedFileURL
    for candidate in [folder, folder.appending(path: "adapter")]
    where FileManager.default.fileExists(atPath: candidate.appending(path: AdapterFolder.configName).path) {
      return candidate
    }
    throw TunerError(
      "adapters: “\(path)” holds no \(AdapterFolder.configName): give the folder of an adapter, or of a finished run")
  }

  /// What an adapter is called in a fusion: the name of its folder, or of the run's that holds it, as far as names may go.
  static func name(of folder: URL) -> String {
    let own = folder.lastPathComponent
    let name = own == "adapter" ? folder.deletingLastPathComponent().lastPathComponent : own
    return String(name.map { $0 == "." || $0 == "," ? "_" : $0 })
  }

  /// Writes a fusion and its adapters into a folder, which is made where it is missing.
  static func save(_ fusion: Adapter, base: String, to folder: URL) throws {
    let adapters = adapters(of: fusion)
    for adapter in adapters { try AdapterHubFolder.save(adapter, base: base, to: folder.appending(path: adapter.name)) }
    let names = adapters.map(\.name)
    let tensors = fusion.saved.map { $0.named(fileName($0.name, names: names)) }
    try AdapterFolder.write(tensors, to: folder.appending(path: weightsName))
    let config = try AdapterHubFolder.config(
      fusion, base: base, name: names.joined(separator: ","), ["adapter_names": .array(names.map(JSON.string))])
    try AtomicFile.write(config.text(.pretty) + "\n", to: folder.appending(path: configName))
  }

  /// Overwrites what mixes the adapters with the tensors of a folder; the adapters were read when they were put into the model.
  static func restore(_ fusion: Adapter, from folder: URL) throws {
    let file = try SafetensorsFile(AdapterFolder.weights(folder))
    let names = adapters(of: fusion).map(\.name)
    try AdapterFolder.fill(fusion.saved.map { $0.named(fileName($0.name, names: names)) }, from: file)
  }

  private static func adapters(of fusion: Adapter) -> [Adapter] {
    fusion.parts.lazy.compactMap { ($0 as? FusedAdapters)?.adapters }.first ?? []
  }

  private static func fileName(_ path: String, names: [String]) -> String {
    path.replacing("_adapters.", with: "_adapters.adapter_fusion_layer.\(names.joined(separator: ",")).")
  }
}
