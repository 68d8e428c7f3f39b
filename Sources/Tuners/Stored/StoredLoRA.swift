import Checkpoints
import Foundation
import OrderedCollections
import Text
import Torch

/// A LoRA adapter as a folder holds it, without the model it is for: what combining, converting and extracting work on.
///
/// Its change of a projection's weight is s·B·A.
public struct StoredLoRA {
  /// The two factors of one projection.
  public struct Module {
    /// The projection's path in its checkpoint.
    public let path: String
    /// A [r, in], float32.
    public var a: Tensor
    /// B [out, r], float32.
    public var b: Tensor
    /// s.
    public var scale: Double

    /// Factors by name.
    public init(path: String, a: Tensor, b: Tensor, scale: Double) {
      (self.path, self.a, self.b, self.scale) = (path, a, b, scale)
    }

    /// The number of rows of A.
    public var rank: Int { a.shape.first ?? 0 }

    /// s·B·A [out, in].
    public func change() throws(TorchError) -> Tensor { try b.matmul(a) * scale }
  }

  /// The projections it changes, by path, in the order of the file.
  public var modules: OrderedDictionary<String, Module>
  /// `base_model_name_or_path`; empty where it is not known.
  public var base: String
  /// Whether the base stores its weights as [in, out].
  public var storesTransposed: Bool
  /// Share of inputs dropped in training.
  public var dropout: Double
  /// What Attune noted of it.
  public var record: AdapterRecord

  /// An adapter by its parts.
  public init(
    modules: [Module], base: String = "", storesTransposed: Bool = false, dropout: Double = 0,
    record: AdapterRecord = AdapterRecord()
  ) {
    self.modules = OrderedDictionary(modules.map { ($0.path, $0) }) { $1 }
    (self.base, self.storesTransposed, self.dropout, self.record) = (base, storesTransposed, dropout, record)
  }
}

// MARK: - PEFT's folders

extension StoredLoRA {
  /// Reads a folder as PEFT writes it.
  ///
  /// - Parameters:
  ///   - folder: the adapter's.
  ///   - purpose: what it is read for, for the errors: `combining`.
  /// - Throws: ``TunerError`` where it is no plain LoRA of projections alone, or a tensor is missing, left over or misshapen;
  ///   `CheckpointError` for damaged files.
  public init(_ folder: URL, for purpose: String) throws {
    let method = try AdapterFolder.configuration(folder)
    guard let configuration = method as? LoRAConfiguration else {
      let advice =
        method.files == .adapterHub
        ? "to have several such adapters at work, give --adapter more than once, or tune a fusion of them (method.type: fusion)"
        : "to put several such adapters into one model, merge them one after the other with `attune adapters merge`"
      throw TunerError("\(folder.path) is of method “\(method.name)”, and \(purpose) is defined for LoRA; \(advice)")
    }
    let file = try SafetensorsFile(AdapterFolder.weights(folder))
    let json = try JSONFile.object(at: folder.appending(path: AdapterFolder.configName))
    self.init(
      modules: try Self.modules(file, configuration, purpose: purpose), base: try AdapterFolder.baseModel(folder) ?? "",
      storesTransposed: json["fan_in_fan_out"]?.bool ?? false, dropout: configuration.dropout,
      record: try AdapterRecord(readingFrom: folder) ?? AdapterRecord())
  }

  private static func modules(
    _ file: SafetensorsFile, _ configuration: LoRAConfiguration, purpose: String
  ) throws -> [Module] {
    var modules: [Module] = []
    var others: [String] = []
    for name in file.names {
      guard let path = path(of: name, suffix: aSuffix) else {
        if path(of: name, suffix: bSuffix) == nil { others.append(name) }
        continue
      }
      let bName = SavedTensor.modulePrefix + path + bSuffix
      guard file.info(bName) != nil else { throw TunerError("\(file.path) lacks “\(bName)”, which belongs to “\(name)”") }
      let (a, b) = (try file.tensor(name, as: .float32), try file.tensor(bName, as: .float32))
      guard a.rank == 2, b.rank == 2, a.shape[0] == b.shape[1], a.shape[0] == (try configuration.rank(path)) else {
        throw TunerError(
          "\(file.path): “\(path)” has A \(a.shape) and B \(b.shape), which do not fit a rank of \(try configuration.rank(path))")
      }
      modules.append(Module(path: path, a: a, b: b, scale: try configuration.scale(path)))
    }
    for name in file.names {
      if let path = path(of: name, suffix: bSuffix), file.info(SavedTensor.modulePrefix + path + aSuffix) == nil {
        throw TunerError("\(file.path) lacks “\(SavedTensor.modulePrefix + path + aSuffix)”, which belongs to “\(name)”")
      }
    }
    guard others.isEmpty else {
      throw TunerError(
        "\(file.path) holds more than low-rank factors of projections: \(AdapterFolder.listing(others)); \(purpose) has no "
          + "place for them. Merge the adapter into its model with `attune adapters merge` instead")
    }
    guard !modules.isEmpty else { throw TunerError("\(file.path) holds no low-rank factors") }
    return modules
  }

  private static let aSuffix = ".lora_A.weight"
  private static let bSuffix = ".lora_B.weight"

  private static func path(of name: String, suffix: String) -> String? {
    guard name.hasPrefix(SavedTensor.modulePrefix), name.hasSuffix(suffix) else { return nil }
    return String(name.dropFirst(SavedTensor.modulePrefix.count).dropLast(suffix.count))
  }

  /// Writes PEFT's two files, and Attune's record where there is something to note.
  ///
  /// - Throws: ``TunerError`` where it changes nothing; what the system refuses.
  public func write(to folder: URL) throws {
    let configuration = try configuration()
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let prefix = SavedTensor.modulePrefix
    let tensors = modules.values.flatMap {
      [(prefix + $0.path + Self.aSuffix, $0.a), (prefix + $0.path + Self.bSuffix, $0.b)]
    }
    try Safetensors.write(tensors, to: folder.appending(path: AdapterFolder.weightsName))
    var settings = configuration.savedSettings
    settings["init_lora_weights"] = true
    settings["fan_in_fan_out"] = .bool(storesTransposed)
    let json = AdapterFolder.adapterConfig(settings, peftType: "LORA", base: base)
    try AtomicFile.write(json.text(.pretty) + "\n", to: folder.appending(path: AdapterFolder.configName))
    try record.write(to: folder)
  }

  /// Settings that give every projection its rank and its scale: the commonest of them, and patterns for the rest.
  public func configuration() throws(TunerError) -> LoRAConfiguration {
    var configuration = LoRAConfiguration()
    guard let rank = Self.commonest(modules.values.map(\.rank)) else {
      throw TunerError("the adapter changes no projection")
    }
    let alphas = modules.values.map { $0.scale * Double($0.rank) }
    configuration.r = rank
    configuration.alpha = Self.commonest(alphas) ?? Double(rank)
    configuration.dropout = dropout
    configuration.targets = .names(Array(modules.keys))
    for (module, alpha) in zip(modules.values, alphas) {
      let key = "^" + NSRegularExpression.escapedPattern(for: module.path)
      if module.rank != configuration.r { configuration.rankPattern[key] = module.rank }
      if alpha != configuration.alpha { configuration.alphaPattern[key] = alpha }
    }
    try configuration.validate()
    return configuration
  }

  private static func commonest<Value: Hashable>(_ values: [Value]) -> Value? {
    var counts: OrderedDictionary<Value, Int> = [:]
    for value in values { counts[value, default: 0] += 1 }
    // Of equals, the first.
    return counts.reduce(nil as (key: Value, value: Int)?) { best, next in
      best.map { $0.value >= next.value } ?? false ? best : (next.key, next.value)
    }?.key
  }
}
