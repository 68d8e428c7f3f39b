import NN
import OrderedCollections
import Text
import Torch

/// Training of single rows of the token table, and of nothing else: what new tokens need.
///
/// Where the head is the token table, its rows are the same ones.
public struct TrainableTokensConfiguration: TuningMethod, Hashable {
  /// The tokens whose rows are trained.
  public var tokens: [Int] = []

  /// No tokens yet: a recipe names them.
  public init() {}

  /// `trainable_tokens`.
  public static var name: String { "trainable_tokens" }
  /// `TRAINABLE_TOKENS`.
  public static var peftType: String? { "TRAINABLE_TOKENS" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      Setting(
        "token_indices", read: { $2.tokens = try $0.ints($1) ?? $2.tokens }, value: { .array($0.tokens.map(JSON.int)) })
    ]
  }

  /// Checks that there is something to train.
  public func validate() throws(TunerError) {
    guard !tokens.isEmpty else { throw TunerError("token_indices is missing: name the tokens whose rows are trained") }
  }

  /// Puts copies of the rows into `model`; its output stays as it was.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    try validate()
    let rows = try TokenRows(tokens, of: model)
    return Adapter(name: name, configuration: self, parts: [TokenRowsPart(rows, named: name, in: model, infix: "")])
  }

  /// Takes the settings out of an `adapter_config.json`.
  public mutating func read(adapterConfig reader: AdapterConfigReader) throws {
    if case .some(.pattern(let text)) = try reader.targets("target_modules"), !text.hasSuffix("embed_tokens"),
      !text.hasSuffix("wte")
    {
      throw reader.error("target_modules", "is “\(text)”, and only rows of the token table can be trained")
    }
    try readSettings(reader)
  }

  /// The settings as PEFT writes them.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> {
    var config = savedSettings
    config["init_weights"] = true
    let path = adapter.parts.compactMap { ($0 as? TokenRowsPart)?.path }.first
    config["target_modules"] = path.map(JSON.string) ?? .null
    return config
  }
}

/// Own rows of some tokens, in place of those of a table [V, d].
final class TokenRows: Module, EmbeddingDelta {
  /// The rows [n, d] float32.
  @Param("trainable_tokens_delta") var rows: Tensor
  /// The tokens.
  let ids: [Int]
  /// The tokens [n] int64.
  let tokens: Tensor
  /// For each token of the vocabulary its place among the rows, 0 for others [V] int64.
  private let places: Tensor
  /// Which tokens of the vocabulary have a row here [V] bool.
  private let isOwn: Tensor

  init(_ tokens: [Int], of model: any CausalLM) throws {
    let table = model.embedding.weight
    let count = table.shape[0]
    for token in tokens where !(0..<count).contains(token) {
      throw TunerError("there is no token \(token): the token table has \(count) rows")
    }
    guard Set(tokens).count == tokens.count else { throw TunerError("a token is named twice; name each once") }
    var places = Array(repeating: Int64(0), count: count)
    for (place, token) in tokens.enumerated() { places[token] = Int64(place + 1) }
    ids = tokens
    self.tokens = try Tensor(tokens.map(Int64.init)).to(table.device)
    isOwn = try Tensor(places).to(table.device) .> 0
    self.places = try Tensor(places.map { max(0, $0 - 1) }).to(table.device)
    super.init()
    rows = try table.detached().indexed(0, self.tokens).to(.float32).clone()
  }

  func forward(_ indices: Tensor, rows given: Tensor) throws(TorchError) -> Tensor {
    let flat = try indices.reshaped(-1)
    let own = try rows.embedding(try places.indexed(0, flat).reshaped(indices.shape)).to(given.dtype)
    return try .choose(try isOwn.indexed(0, flat).reshaped(indices.shape + [1]), own, given)
  }

  func merged(into table: Tensor) throws(TorchError) -> Tensor {
    let index = try tokens.unsqueezed(1).expanded(tokens.shape[0], table.shape[1])
    return try table.scattered(0, index, try rows.detached().to(table.dtype))
  }
}

/// The same rows in a head that is the token table: their logits take the place of the head's.
final class TokenLogits: Module, AdapterDelta {
  private let rows: TokenRows

  init(_ rows: TokenRows) { self.rows = rows }

  func forward(_ x: Tensor, through base: any Projection) throws(TorchError) -> Tensor {
    let logits = try base.forward(x)
    let own = try x.linear(try rows.rows.to(x.dtype)).to(logits.dtype)
    let leading = Array(logits.shape.dropLast())
    let index = try rows.tokens.reshaped(Array(repeating: 1, count: leading.count) + [own.shape[own.shape.count - 1]])
    return try logits.scattered(-1, try index.expanded(leading + [own.shape[own.shape.count - 1]]), own)
  }

  func merged(into base: any Projection) throws(TorchError) -> any Projection {
    let weight = try base.denseWeight()
    let merged = try rows.merged(into: try weight.to(.float32))
    return try base.replacing(weight: try merged.detached().to(weight.dtype), bias: base.denseBias)
  }

  var trained: [(name: String, slot: ParameterSlot)] { [] }
}

/// Rows of tokens at work in a model: in its token table, and in its head where that is the same.
final class TokenRowsPart: AdapterPart {
  /// The path of the token table.
  let path: String
  private let rows: TokenRows
  private let embedding: Embedding
  private let name: String
  private let infix: String
  private let head: ProjectionPart?

  /// - Parameter infix: what PEFT puts between the table's path and the rows' name.
  init(_ rows: TokenRows, named name: String, in model: any CausalLM, infix: String) {
    // A dot, which no adapter's name has, tells it from another delta of the same adapter.
    let name = name + ".tokens"
    (self.rows, self.name, self.infix, embedding) = (rows, name, infix, model.embedding)
    path = model.embeddings().first { $0.embedding === model.embedding }?.path ?? "model.embed_tokens"
    embedding.deltas = embedding.deltas.filter { $0.name != name } + [(name, rows)]
    let head = model.projections().first { $0.path == "lm_head" && model.isTied }
    self.head = head.map { ProjectionPart(TokenLogits(rows), named: name, at: $0.path, in: $0.slot) }
  }

  var trained: [(path: String, value: Tensor)] { [("\(path)\(infix).trainable_tokens_delta", rows.rows)] }

  /// The rows, and once more for the head where PEFT saves both.
  var saved: [SavedTensor] {
    let paths = [path] + (head != nil && infix.isEmpty ? ["lm_head"] : [])
    return paths.map { SavedTensor("\(SavedTensor.modulePrefix)\($0)\(infix).trainable_tokens_delta", rows.rows) }
  }

  var replaced: [String] { rows.ids.map { "\(path), row \($0)" } }

  func activate(_ on: Bool) {
    embedding.active = embedding.active.filter { $0 != name } + (on ? [name] : [])
    head?.activate(on)
  }

  func remove() {
    embedding.deltas = embedding.deltas.filter { $0.name != name }
    head?.remove()
  }

  func merge() throws -> () -> Void { {} }
}
