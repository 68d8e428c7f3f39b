import Checkpoints
import Foundation
import OrderedCollections
import Text
import Torch

/// A LoRA adapter as mlx-lm keeps it: `adapters.safetensors` and `adapter_config.json`.
///
/// Its factors are the transposes of PEFT's: `PATH.lora_a` [in, r], `PATH.lora_b` [r, out]; one rank and one scale hold for all
/// of them, and the scale multiplies the product as it is.
public enum MLXAdapter {
  /// The name of the settings.
  public static let configName = "adapter_config.json"
  /// The name of the tensors.
  public static let weightsName = "adapters.safetensors"
  /// The first parts of a GPT-2's paths there and in its checkpoint.
  private static let gpt2 = (mlx: "model.h.", checkpoint: "transformer.h.")

  /// Whether a folder looks like mlx-lm's.
  public static func isOne(_ folder: URL) -> Bool {
    FileManager.default.fileExists(atPath: folder.appending(path: weightsName).path)
  }

  /// Reads a folder.
  ///
  /// - Throws: ``TunerError`` where it is not LoRA, or a tensor is missing, left over or misshapen; `CheckpointError` for damaged
  ///   files.
  public static func read(_ folder: URL) throws -> StoredLoRA {
    let url = folder.appending(path: configName)
    let json = try JSONFile.object(at: url)
    let type = json["fine_tune_type"]?.string ?? "lora"
    guard type == "lora" else {
      throw TunerError("\(url.path): “fine_tune_type” is “\(type)”; lora can be converted")
    }
    guard let parameters = json["lora_parameters"], parameters.object != nil else {
      throw TunerError("\(url.path): “lora_parameters” is missing")
    }
    guard let scale = parameters["scale"]?.double, scale.isFinite, scale > 0 else {
      throw TunerError("\(url.path): “lora_parameters.scale” must be a number above 0")
    }
    guard let rank = parameters["rank"]?.int, rank > 0 else {
      throw TunerError("\(url.path): “lora_parameters.rank” must be a whole number from 1")
    }
    let dropout = parameters["dropout"]?.double ?? 0
    guard (0..<1).contains(dropout) else {
      throw TunerError("\(url.path): “lora_parameters.dropout” must be from 0 to below 1, not \(dropout)")
    }
    let modules = try modules(SafetensorsFile(folder.appending(path: weightsName)), rank: rank, scale: scale)
    return StoredLoRA(
      modules: modules, base: json["model"]?.string ?? "",
      storesTransposed: modules.allSatisfy { $0.path.hasPrefix(gpt2.checkpoint) }, dropout: dropout)
  }

  private static func modules(_ file: SafetensorsFile, rank: Int, scale: Double) throws -> [StoredLoRA.Module] {
    let paths = Set(
      file.names.compactMap { name in suffixes.first(where: name.hasSuffix).map { String(name.dropLast($0.count)) } })
    let others = file.names.filter { name in !suffixes.contains(where: name.hasSuffix) }
    guard others.isEmpty else {
      throw TunerError(
        "\(file.path) holds more than LoRA's factors: \(AdapterFolder.listing(others)); only those can be converted")
    }
    guard !paths.isEmpty else { throw TunerError("\(file.path) holds no low-rank factors") }
    return try paths.sorted().map { path in
      let (a, b) = (try file.tensor(path + suffixes[0], as: .float32), try file.tensor(path + suffixes[1], as: .float32))
      guard a.rank == 2, b.rank == 2, a.shape[1] == rank, b.shape[0] == rank else {
        throw TunerError(
          "\(file.path): “\(path)” has lora_a \(a.shape) and lora_b \(b.shape), which do not fit a rank of \(rank)")
      }
      guard path.split(separator: ".").last.map({ !$0.hasPrefix("embed") && $0 != "wte" }) ?? true else {
        throw TunerError("\(file.path): “\(path)” is a token table; only projections can be converted")
      }
      return StoredLoRA.Module(
        path: path.hasPrefix(gpt2.mlx) ? gpt2.checkpoint + path.dropFirst(gpt2.mlx.count) : path,
        a: try a.transposed().contiguous(), b: try b.transposed().contiguous(), scale: scale)
    }
  }

  private static let suffixes = [".lora_a", ".lora_b"]

  /// Writes a folder.
  ///
  /// mlx-lm has one rank and one scale for all projections: smaller ranks are filled up with zeros, other scales go into B.
  /// The settings ask for all layers; those whose projections are not in the file keep factors of mlx-lm's own start, B = 0.
  ///
  /// - Throws: ``TunerError`` where it changes no projection; what the system refuses.
  public static func write(_ adapter: StoredLoRA, to folder: URL) throws {
    let modules = Array(adapter.modules.values)
    guard let scale = modules.first?.scale, let rank = modules.map(\.rank).max() else {
      throw TunerError("the adapter changes no projection")
    }
    var tensors: [(String, Tensor)] = []
    for module in modules {
      let path = name(module.path)
      let b = module.scale == scale ? module.b : try module.b * (module.scale / scale)
      tensors.append((path + suffixes[0], try filled(module.a, 0, to: rank).transposed().contiguous()))
      tensors.append((path + suffixes[1], try filled(b, 1, to: rank).transposed().contiguous()))
    }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Safetensors.write(tensors, metadata: ["format": "mlx"], to: folder.appending(path: weightsName))
    var keys: OrderedSet<String> = []
    for module in modules { keys.append(key(name(module.path))) }
    let json: JSON = [
      "fine_tune_type": "lora",
      "model": .string(adapter.base),
      "num_layers": -1,
      "lora_parameters": [
        "rank": .int(rank), "scale": .double(scale), "dropout": .double(adapter.dropout),
        "keys": .array(keys.sorted().map(JSON.string)),
      ],
    ]
    try AtomicFile.write(json.text(.pretty) + "\n", to: folder.appending(path: configName))
  }

  private static func name(_ path: String) -> String {
    path.hasPrefix(gpt2.checkpoint) ? gpt2.mlx + path.dropFirst(gpt2.checkpoint.count) : path
  }

  /// `self_attn.q_proj` for a projection of a layer, the whole path for any other.
  private static func key(_ path: String) -> String {
    let parts = path.split(separator: ".")
    guard let number = parts.firstIndex(where: { Int($0) != nil }), number + 1 < parts.count else { return path }
    return parts[(number + 1)...].joined(separator: ".")
  }

  private static func filled(_ tensor: Tensor, _ dim: Int, to size: Int) throws(TorchError) -> Tensor {
    var shape = tensor.shape
    guard shape[dim] < size else { return tensor }
    shape[dim] = size - shape[dim]
    return try .concatenated([tensor, try .zeros(shape)], dim)
  }
}
