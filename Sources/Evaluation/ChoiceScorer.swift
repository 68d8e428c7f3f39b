import Generation
import NN
import Torch

/// A prompt with the continuations to choose from.
public struct ChoiceItem: Sendable, Hashable {
  /// Tokens of the prompt.
  public var prompt: [Int32]
  /// Tokens of each continuation.
  public var choices: [[Int32]]
  /// The index of the right one.
  public var answer: Int

  /// A prompt, its continuations and the right one among them.
  public init(prompt: [Int32], choices: [[Int32]], answer: Int) {
    self.prompt = prompt
    self.choices = choices
    self.answer = answer
  }
}

/// Scores continuations of prompts: Σ ln p(token | prompt and those before it).
///
/// What all prompts begin with passes through the model once, the rest of each prompt once, and each continuation once. Prompts
/// of one length go together; continuations are padded behind, where no token sees it, so that no number depends on the batch
/// (but for models with “dynamic” rotary frequencies, and for rounding).
public struct ChoiceScorer {
  /// The model.
  public let model: any CausalLM
  /// Continuations that pass through the model at once, from 1; those of one item always go together.
  public var batchSize = 32
  /// Tokens of a prompt that pass through the model at once, from 1.
  public var tokensPerPass = 2048
  /// Whether what all prompts begin with is computed once.
  public var sharesPrefix = true

  /// A scorer for `model`.
  public init(_ model: any CausalLM) { self.model = model }

  /// Σ ln p of the tokens of each choice of each item.
  ///
  /// - Throws: `GenerationError` that names the item where a prompt or a choice is empty, has unknown tokens, or does not fit the
  ///   context; `TorchError`.
  public func logProbs(_ items: [ChoiceItem]) throws -> [[Double]] {
    for (index, item) in items.enumerated() { try check(item, index) }
    return try model.inference {
      var scores: [[Double]] = Array(repeating: [], count: items.count)
      let shared = sharesPrefix ? Self.commonPrefix(items.map(\.prompt)) : 0
      let prefix = shared > 0 ? model.makeCache() : nil
      if let prefix, let first = items.first { _ = try read([first.prompt[..<shared]], into: prefix) }
      for batch in batches(items) {
        let cache = try prefix?.repeated(batch.count) ?? model.makeCache()
        let sums = try score(batch.map { items[$0] }, from: shared, cache: cache)
        for (index, sum) in zip(batch, sums) { scores[index] = sum }
      }
      return scores
    }
  }

  private func check(_ item: ChoiceItem, _ index: Int) throws(GenerationError) {
    let context = model.tokenLimit
    try model.check(item.prompt, index: index, limit: context)
    for (number, choice) in item.choices.enumerated() {
      guard !choice.isEmpty else { throw .row(index, problem: "has no tokens in choice \(number)") }
      try model.check(item.prompt + choice, index: index, limit: context)
    }
  }

  /// How many tokens all prompts begin with, short of the last of the shortest.
  static func commonPrefix(_ prompts: [[Int32]]) -> Int {
    guard prompts.count > 1, let first = prompts.first else { return 0 }
    let limit = (prompts.map(\.count).min() ?? 1) - 1
    return (0..<limit).first { place in prompts.contains { $0[place] != first[place] } } ?? limit
  }

  /// Items whose prompts are equally long, in groups of `batchSize` continuations.
  private func batches(_ items: [ChoiceItem]) -> [[Int]] {
    var batches: [[Int]] = []
    var rows = 0
    for index in items.indices.sorted(by: { (items[$0].prompt.count, $0) < (items[$1].prompt.count, $1) }) {
      let added = items[index].choices.count
      if let last = batches.last?.last, items[last].prompt.count == items[index].prompt.count, rows + added <= batchSize {
        batches[batches.count - 1].append(index)
        rows += added
      } else {
        batches.append([index])
        rows = added
      }
    }
    return batches
  }

  /// The sums of each choice of items with equally long prompts, whose first `shared` tokens `cache` holds.
  private func score(_ items: [ChoiceItem], from shared: Int, cache: KVCache) throws -> [[Double]] {
    let hidden = try read(items.map { $0.prompt[shared...] }, into: cache)
    let choices = items.enumerated().flatMap { owner, item in item.choices.map { (owner: owner, tokens: $0) } }
    guard !choices.isEmpty else { return items.map { _ in [] } }
    let owners = try Tensor(choices.map { Int64($0.owner) }).to(model.device)
    var sums = try model.logProbs(of: choices.map { Int64($0.tokens[0]) }, after: try hidden.indexed(0, owners)).map(Double.init)
    let longer = choices.indices.filter { choices[$0].tokens.count > 1 }
    if !longer.isEmpty {
      try cache.keep(rows: longer.map { choices[$0].owner })
      for (index, sum) in zip(longer, try scoreRest(longer.map { choices[$0].tokens }, cache: cache)) { sums[index] += sum }
    }
    var rest = sums[...]
    return items.map { item in
      defer { rest = rest.dropFirst(item.choices.count) }
      return Array(rest.prefix(item.choices.count))
    }
  }

  /// Σ ln p of all but the first token of each choice, whose prompt is its row of `cache`.
  private func scoreRest(_ choices: [[Int32]], cache: KVCache) throws(TorchError) -> [Double] {
    let width = choices.map(\.count).max().map { $0 - 1 } ?? 0
    let rows = choices.map { $0.dropLast() + Array(repeating: 0, count: width - $0.count + 1) }
    let hidden = try model.hidden(try ModelInput(rows: rows, cache: cache, device: model.device))
    let places = choices.enumerated().flatMap { row, tokens in (0..<tokens.count - 1).map { Int64(row * width + $0) } }
    let flat = try hidden.reshaped(choices.count * width, -1).indexed(0, try Tensor(places).to(model.device))
    var scores = try model.logProbs(of: choices.flatMap { $0.dropFirst().map(Int64.init) }, after: flat)[...]
    return choices.map { tokens in
      defer { scores = scores.dropFirst(tokens.count - 1) }
      return scores.prefix(tokens.count - 1).reduce(0) { $0 + Double($1) }
    }
  }

  /// Puts equally long rows into `cache`, part by part, and returns what the head takes after the last column [B, d].
  private func read(_ rows: [ArraySlice<Int32>], into cache: KVCache) throws(TorchError) -> Tensor {
    let width = rows.first?.count ?? 0
    let step = max(1, tokensPerPass / max(1, rows.count))
    var last: Tensor?
    for start in stride(from: 0, to: width, by: step) {
      let part = rows.map { Array($0.dropFirst(start).prefix(step)) }
      let hidden = try model.hidden(try ModelInput(rows: part, cache: cache, device: model.device))
      last = try hidden.selected(1, part[0].count - 1)
    }
    guard let last else { throw TorchError(operation: "read", message: "there are no tokens to read") }
    return last
  }
}
