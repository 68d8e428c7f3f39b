import Foundation
import NN
import OrderedCollections
import Text
import Torch

/// AdapterFusion: trained bottleneck adapters side by side, and attention that mixes what they give, place by place and token by token.
/// Pfeiffer et al., arXiv:2005.00247.
///
/// With x what the adapters see, h what the part of the layer gave and A_i(x) the result of the i-th of n adapters,
///
///     h + Σᵢ pᵢ·V·A_i(x)        p = softmax over i of (Q·x)·(K·A_i(x))
///
/// Q, K and V are learnt; the adapters stay as they are, and are saved along.
public struct FusionConfiguration: TuningMethod, Hashable {
  /// The folders of the adapters; the last one says what all of them see.
  public var adapters: [String] = []
  /// Whether x passes through Q.
  public var mapsQueries = true
  /// Whether the adapters' results pass through K before they are compared.
  public var mapsKeys = true
  /// Whether they pass through V.
  public var mapsValues = true
  /// Whether it is each of them that passes through V, or their mixture.
  public var mapsEachValue = true
  /// Whether V begins as the identity, nearly, and not as N(0, 0.02²).
  public var startsAsIdentity = true
  /// Whether what tells V from the identity is added to the loss: 0.01·‖V − 1‖².
  public var keepsNearIdentity = true
  /// Whether queries are of what the part gave, and not of x.
  public var queriesOutput = false
  /// Share of the scores that is dropped in training.
  public var dropout = 0.0

  /// AdapterHub's defaults, over no adapters yet.
  public init() {}

  /// `fusion`.
  public static var name: String { "fusion" }
  /// Nil: PEFT has none.
  public static var peftType: String? { nil }
  /// AdapterHub's.
  public static var files: AdapterFiles { .adapterHub }
  /// 5e-5, as AdapterHub's examples.
  public var learningRate: Double { 5e-5 }

  /// Every setting, under AdapterHub's names.
  public static var settings: [Setting<Self>] {
    [
      Setting.strings("adapters", \.adapters).onlyInRecipe, .bool("query", \.mapsQueries), .bool("key", \.mapsKeys),
      .bool("value", \.mapsValues), .bool("value_before_softmax", \.mapsEachValue),
      .bool("value_initialized", \.startsAsIdentity), .bool("regularization", \.keepsNearIdentity),
      .bool("query_before_ln", \.queriesOutput), .double("dropout_prob", \.dropout, in: 0...0.999),
    ]
  }

  /// Checks that there is something to learn, and something to mix.
  public func validate() throws(TunerError) {
    guard mapsQueries || mapsKeys || mapsValues else {
      throw TunerError("query, key and value are all false, which leaves nothing to learn: make one of them true")
    }
    guard adapters.count != 1 else { throw TunerError("adapters names one adapter, and a fusion is of two at least") }
  }

  /// Takes the settings out of the `config` of an `adapter_fusion_config.json`.
  public mutating func read(adapterConfig reader: AdapterConfigReader) throws {
    try reader.refuse(["temperature", "residual_before"])
    try readSettings(reader)
  }

  /// The `config` as AdapterHub writes it, with the keys of what is not there.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> {
    var config = savedSettings
    for key in ["temperature", "residual_before"] { config[key] = false }
    config["dropout_prob"] = .double(dropout)
    return config
  }

  /// Puts the adapters behind the parts of each layer, with a mixture over them.
  ///
  /// - Throws: ``TunerError`` where an adapter is none that can be mixed, or they do not stand in the same places; the model is as
  ///   before then.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    try validate()
    guard !adapters.isEmpty else { throw TunerError("adapters: name the folders of the adapters to mix, two at least") }
    var fused: [FusedAdapter] = []
    for path in adapters {
      fused.append(try FusedAdapter(try FusionFolder.adapter(path), in: model, others: fused.map(\.name)))
    }
    let places = fused[0].places
    for other in fused where other.places.map(\.path) != places.map(\.path) {
      throw TunerError(
        "the adapters “\(fused[0].name)” and “\(other.name)” stand in different places, as houlsby and pfeiffer do; mix adapters of one "
          + "kind, with the same leave_out")
    }
    let (size, device) = (model.shape.hiddenSize, model.device)
    // As AdapterHub begins it, which has 1e-6 beside the diagonal.
    let identity = try startsAsIdentity ? Tensor.identity(size, beside: 1e-6).to(device) : nil
    let made = try places.indices.map { index in
      let bottlenecks = fused.map { ($0.name, $0.modules[index]) }
      return try FusedBottlenecks(self, bottlenecks, size: size, identity: identity, device: device)
    }
    var parts: [any AdapterPart] = zip(places, made).map { place, module in
      PlacedPart(module, as: module, named: name, at: place.path, in: place.place, isTraining: model.isTraining)
    }
    parts.append(FusedAdapters(fused))
    let penalty =
      keepsNearIdentity && mapsValues ? NearIdentityPenalty(made, identity: try Tensor.identity(size).to(device)) : nil
    return Adapter(name: name, configuration: self, parts: parts, companion: penalty)
  }
}

/// One of the adapters of a fusion: its bottlenecks, which stand in no place of their own.
struct FusedAdapter {
  /// Its name among them.
  let name: String
  /// Where its bottlenecks belong.
  let places: [(path: String, place: SublayerAdapters)]
  /// Its bottlenecks, in the order of the places.
  let modules: [BottleneckAdapter]
  /// Itself, as a folder is read and written.
  let adapter: Adapter

  /// Reads an adapter's folder.
  ///
  /// - Parameter others: names that are taken.
  /// - Throws: ``TunerError`` where it is no bottleneck adapter that stands behind a part, or does not fit the model.
  init(_ folder: URL, in model: any CausalLM, others: [String]) throws {
    guard let settings = try AdapterFolder.configuration(folder) as? BottleneckConfiguration, !settings.isParallel,
      !settings.isInvertible
    else {
      throw TunerError(
        "\(folder.path) cannot be part of a fusion, which takes adapters that stand behind the parts of a layer and nowhere else: "
          + "houlsby, pfeiffer, compacter")
    }
    let own = FusionFolder.name(of: folder)
    name = others.contains(own) ? "\(own)_\(others.count)" : own
    let made = try settings.make(in: model)
    (places, modules) = (made.places, made.modules)
    let parts = zip(made.places, made.modules).map { UnplacedPart($1, path: $0.path) as any AdapterPart }
    adapter = Adapter(name: name, configuration: settings, parts: parts + made.shared)
    try AdapterHubFolder.restore(adapter, from: folder)
  }
}

/// A bottleneck that takes part through a fusion alone, and is not learnt any more.
private final class UnplacedPart: AdapterPart {
  private let module: BottleneckAdapter
  private let path: String

  init(_ module: BottleneckAdapter, path: String) { (self.module, self.path) = (module, path) }

  var trained: [(path: String, value: Tensor)] { [] }
  var saved: [SavedTensor] { module.owned.map { SavedTensor("\(path).\($0.name)", $0.value) } }
  func activate(_ on: Bool) {}
  func remove() {}
  func merge() throws -> () -> Void { {} }
}

/// The adapters of a fusion, which are saved beside what mixes them.
final class FusedAdapters: AdapterPart {
  /// The adapters, in order.
  let adapters: [Adapter]

  init(_ fused: [FusedAdapter]) { adapters = fused.map(\.adapter) }

  var trained: [(path: String, value: Tensor)] { [] }
  var isDivisible: Bool { true }
  func activate(_ on: Bool) {}
  func remove() {}
  func merge() throws -> () -> Void { {} }
}
