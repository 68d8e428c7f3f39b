import Checkpoints
import Foundation
import OrderedCollections
import Text
import Torch
import Tuners

/// What an adapter's folder holds. It is read without the model.
public struct AdapterSummary: Sendable {
  /// One tensor.
  public struct TensorRow: Sendable {
    /// Its name in the file.
    public let name: String
    /// What the header says of it.
    public let info: TensorInfo
    /// Its Frobenius norm; nil where its numbers were not read.
    public let norm: Double?
    /// Numbers that are not finite; nil where its numbers were not read.
    public let notFinite: Int?
  }

  /// Whose layout the folder has.
  public enum Layout: String, Sendable, Hashable {
    /// PEFT's.
    case peft
    /// mlx-lm's.
    case mlx
    /// AdapterHub's.
    case adapterHub = "adapterhub"
  }

  /// The folder.
  public let path: String
  /// Whose layout it has.
  public let layout: Layout
  /// The method, as the settings name it: `LORA`, `lora` …
  public let method: String
  /// `base_model_name_or_path`, where it is known.
  public let base: String?
  /// The ranks there are, or the features of bottlenecks, smallest first.
  public let ranks: [Int]
  /// The settings as they stand in the file.
  public let config: JSON
  /// The last parts of the paths it changes: `q_proj` …
  public let targets: [String]
  /// Every tensor, in the order of the file.
  public let tensors: [TensorRow]
  /// What Attune noted of it; nil where it noted nothing.
  public let record: AdapterRecord?

  /// Numbers it owns.
  public var parameterCount: Int { tensors.reduce(0) { $0 + $1.info.elementCount } }
  /// Bytes of its tensors.
  public var byteCount: Int { tensors.reduce(0) { $0 + $1.info.byteCount } }
  /// The tensors with numbers that are not finite.
  public var damaged: [TensorRow] { tensors.filter { $0.notFinite ?? 0 > 0 } }

  /// Looks an adapter over.
  ///
  /// - Parameters:
  ///   - folder: its folder, PEFT's or mlx-lm's.
  ///   - readingNumbers: also find norms and numbers that are not finite.
  /// - Throws: ``RecipeError`` or `CheckpointError` where it is none or damaged.
  public init(_ folder: URL, readingNumbers: Bool = true) throws {
    path = folder.path
    config = try JSONFile.object(at: AdapterFolder.settings(folder) ?? folder.appending(path: AdapterFolder.configName))
    layout = MLXAdapter.isOne(folder) ? .mlx : AdapterHubFolder.isOne(config) ? .adapterHub : .peft
    let file = try SafetensorsFile(
      layout == .mlx ? folder.appending(path: MLXAdapter.weightsName) : AdapterFolder.weights(folder))
    switch layout {
    case .peft:
      guard let type = config["peft_type"]?.string else {
        throw RecipeError("\(folder.path)/\(AdapterFolder.configName): “peft_type” is missing, so it is no adapter of PEFT's")
      }
      (method, base) = (type, config["base_model_name_or_path"]?.string)
    case .mlx: (method, base) = (config["fine_tune_type"]?.string ?? "lora", config["model"]?.string)
    case .adapterHub:
      let settings = try AdapterFolder.configuration(folder)
      (method, base) = ((settings as? BottleneckConfiguration)?.variant ?? settings.name, try AdapterFolder.baseModel(folder))
    }
    tensors = try file.names.compactMap { name in
      guard let info = file.info(name) else { return nil }
      guard readingNumbers, info.dtype != nil else { return TensorRow(name: name, info: info, norm: nil, notFinite: nil) }
      let numbers = try file.tensor(name, as: .float32)
      let finite = Int(try numbers.isFinite().to(.float64).sum().item())
      let norm = try Losses.square(numbers).squareRoot()
      return TensorRow(name: name, info: info, norm: norm, notFinite: info.elementCount - finite)
    }
    ranks = Self.ranks(tensors, layout)
    targets = Self.targets(tensors)
    record = try AdapterRecord(readingFrom: folder)
  }

  private static func ranks(_ tensors: [TensorRow], _ layout: Layout) -> [Int] {
    let found = tensors.compactMap { row -> Int? in
      let parts = row.name.split(separator: ".")
      guard row.info.shape.count == 2 else { return nil }
      if row.name.hasSuffix("adapter_down.0.weight") { return row.info.shape[0] }
      if parts.contains("lora_A") || parts.contains("lora_embedding_A") { return row.info.shape[0] }
      return parts.last == "lora_a" ? row.info.shape[1] : nil
    }
    return Set(found).sorted()
  }

  private static func targets(_ tensors: [TensorRow]) -> [String] {
    var found: OrderedSet<String> = []
    for row in tensors {
      let parts = row.name.split(separator: ".").map(String.init)
      if let place = parts.first(where: { $0.hasSuffix("_adapters") }) {
        found.append(place)
        continue
      }
      guard let leaf = parts.firstIndex(where: isLeaf), leaf > 0 else { continue }
      found.append(parts[leaf - 1])
    }
    return found.sorted()
  }

  /// Whether a part of a name is a method's, as `lora_A`: what stands before it is the module.
  private static func isLeaf(_ part: String) -> Bool {
    ["lora_", "ia3_", "vera_", "hada_", "lokr_", "adapter_", "ln_tuning", "token_adapter", "trainable_tokens"].contains {
      part.hasPrefix($0)
    }
  }

  /// All of it; the tensors each with shape, type, norm and a count of numbers that are not finite.
  public var json: JSON {
    [
      "path": .string(path), "layout": .string(layout.rawValue), "method": .string(method),
      "base": base.map(JSON.string) ?? .null,
      "base_fingerprint": record?.base.map { .string($0.fingerprint) } ?? .null,
      "base_quantization": record?.base?.quantization.map { .string($0.description) } ?? .null,
      "ranks": .array(ranks.map(JSON.int)), "targets": .array(targets.map(JSON.string)),
      "parameters": .int(parameterCount), "bytes": .int(byteCount),
      "not_finite": .array(damaged.map { .string($0.name) }),
      "config": config,
      "tensors": .array(
        tensors.map { row in
          [
            "name": .string(row.name), "shape": .array(row.info.shape.map(JSON.int)), "type": .string(row.info.storedType),
            "norm": row.norm.flatMap { $0.isFinite ? .double($0) : nil } ?? .null,
            "not_finite": row.notFinite.map(JSON.int) ?? .null,
          ]
        }),
    ]
  }
}
