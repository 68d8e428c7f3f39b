import NN
import Torch

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

  /// Copies of rows of `table` [V, d].
  init(_ tokens: [Int], of table: Tensor) throws {
    let count = table.shape[0]
    for token in tokens where !(0..<count).contains(token) {
      throw TunerError("there is no token \(token): the vocabulary has \(count)")
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

/// Rows of a head: their logits take the place of the head's.
final class TokenLogits: Module, AdapterDelta {
  /// The rows where they are the head's own; those of a token table belong to it.
  @OptionalChild("rows") private var own: TokenRows?
  private let rows: TokenRows
  /// What follows the head's path in a file; nil where the rows are saved with the token table.
  private let savedName: String?

  init(_ rows: TokenRows, savedAs name: String?) {
    (self.rows, savedName) = (rows, name)
    super.init()
    own = name == nil ? nil : rows
  }

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

  var trained: [(name: String, slot: ParameterSlot)] { savedName.map { [($0, rows.$rows)] } ?? [] }
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
    self.head = head.map { ProjectionPart(TokenLogits(rows, savedAs: nil), named: name, at: $0.path, in: $0.slot) }
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

/// Rows of tokens at work in a head that is a matrix of its own.
final class TokenLogitsPart: AdapterPart {
  private let part: ProjectionPart
  private let ids: [Int]

  /// - Parameter infix: what PEFT puts between the head's path and the rows' name.
  init(_ rows: TokenRows, named name: String, at path: String, in slot: ProjectionSlot, infix: String) {
    let saved = (infix + ".trainable_tokens_delta").dropFirst()
    part = ProjectionPart(TokenLogits(rows, savedAs: String(saved)), named: name + ".tokens", at: path, in: slot)
    ids = rows.ids
  }

  var trained: [(path: String, value: Tensor)] { part.trained }
  var saved: [SavedTensor] { part.saved }
  var replaced: [String] { ids.map { "\(part.path), row \($0)" } }
  func activate(_ on: Bool) { part.activate(on) }
  func remove() { part.remove() }
  func merge() throws -> () -> Void { {} }
}

extension TokenIndices {
  /// Puts copies of the rows into `model`.
  ///
  /// - Parameter infix: what PEFT puts between a module's path and the rows' name.
  /// - Throws: ``TunerError`` for a token that is not there or is named twice; the model is as before then.
  func parts(in model: any CausalLM, named name: String, infix: String) throws -> [any AdapterPart] {
    guard !isEmpty else { return [] }
    guard !model.isTied || head.allSatisfy(table.contains) else {
      throw TunerError("the head is the token table in this model: name all tokens for the table, lm_head follows")
    }
    let ownHead = model.isTied ? nil : model.projections().first { $0.path == TokenIndices.headName }
    let tableRows = table.isEmpty ? nil : try TokenRows(table, of: model.embedding.weight)
    let headRows = try head.isEmpty ? nil : ownHead.map { try TokenRows(head, of: $0.slot.value.denseWeight()) }
    var parts: [any AdapterPart] = []
    if let tableRows { parts.append(TokenRowsPart(tableRows, named: name, in: model, infix: infix)) }
    if let headRows, let ownHead {
      parts.append(TokenLogitsPart(headRows, named: name, at: ownHead.path, in: ownHead.slot, infix: infix))
    }
    return parts
  }
}
