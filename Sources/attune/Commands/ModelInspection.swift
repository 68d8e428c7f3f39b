import ArgumentParser
import Checkpoints
import OrderedCollections
import Recipes
import Text

/// `attune models inspect`: what a model's files hold.
struct ModelInspection: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what a model's files hold: sizes, element types, tokenizer, template.",
    discussion: """
      Headers and tokenizer are read, weights are not.

      Example:
        attune models inspect smollm2
      """)

  @Argument(help: "A name of the model store, a Hugging Face folder, or a .gguf file.")
  var model: String

  @Flag(help: "List every tensor with shape, type and bytes.")
  var tensors = false

  @Flag(help: "Print the chat template in full, after the rest.")
  var template = false

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let summary = try ModelSummary(ModelStore.standard.resolve(model))
    if json {
      var members = summary.json.object ?? [:]
      if tensors { members["tensors"] = summary.tensorsJSON }
      return try Terminal.output.write(JSON.object(members).text(.pretty) + "\n")
    }
    var lines = [summary.path, ""]
    switch summary.weights {
    case .success(let weights): lines += describe(weights)
    case .failure(let error): lines += ["no weights: \(error)"]
    }
    switch summary.text {
    case .success(let text): lines += [""] + describe(text, stopTokens: summary.stopTokens)
    case .failure(let error): lines += ["", "no tokenizer: \(error)"]
    }
    try Terminal.output.write(lines.joined(separator: "\n") + "\n")
  }

  /// The settings of `config.json` that tell the size of a model, in words.
  private static let sizes = [
    ("layers", ["num_hidden_layers", "n_layer"]), ("hidden size", ["hidden_size", "n_embd"]),
    ("feed-forward size", ["intermediate_size", "n_inner"]), ("heads", ["num_attention_heads", "n_head"]),
    ("key/value heads", ["num_key_value_heads"]), ("head size", ["head_dim"]), ("vocabulary", ["vocab_size"]),
    ("context", ["max_position_embeddings", "n_positions"]),
  ]

  private func describe(_ weights: ModelSummary.Weights) -> [String] {
    var table = TextTable()
    let support = weights.isSupported ? "" : " (this program cannot load it)"
    table.append("architecture", weights.modelType + support)
    table.append("parameters", weights.parameterCount.grouped)
    for (name, keys) in Self.sizes {
      if let value = keys.lazy.compactMap({ weights.config[$0]?.int }).first { table.append(name, value.grouped) }
    }
    if let tied = weights.config["tie_word_embeddings"]?.bool { table.append("tied embeddings", tied ? "yes" : "no") }
    var types = TextTable([["type", "tensors", "numbers", "size"]], numbers: [1, 2, 3])
    for group in weights.groups { types.append(group.type, group.tensors.grouped, group.elements.grouped, group.bytes.asBytes) }
    var lines = table.lines + [""] + types.lines
    if tensors {
      let rows = weights.tensors.map { [$0.name, $0.info.storedType, "\($0.info.shape)", $0.info.byteCount.asBytes] }
      lines += [""] + TextTable(rows).lines
    }
    return lines
  }

  private func describe(_ text: TextSide, stopTokens: Set<Int32>) -> [String] {
    let tokenizer = text.tokenizer
    var table = TextTable()
    table.append("tokens", tokenizer.vocabularySize.grouped)
    let special = tokenizer.special
    for (name, token) in [("begin of text", special.bos), ("end of text", special.eos), ("padding", special.pad)] {
      if let token { table.append(name, token + (tokenizer.id(of: token).map { "  (\($0))" } ?? "")) }
    }
    let around = text.surroundingTokens
    table.append("put around a text", around.isEmpty ? "nothing" : around.joined(separator: " "))
    table.append("answers end at", stopTokens.sorted().map { tokenizer.token(of: $0) ?? "\($0)" }.joined(separator: " "))
    let all = text.specialTokens
    let shown = all.prefix(8).map(\.token).joined(separator: " ")
    table.append("special tokens", "\(all.count): \(shown)\(all.count > 8 ? " …" : "")")
    let names = text.templates.sources.keys
    table.append("chat template", names.isEmpty ? "none" : names.joined(separator: ", "))
    return table.lines + templates(text)
  }

  /// The beginning of each template, or all of it.
  private func templates(_ text: TextSide) -> [String] {
    text.templates.sources.flatMap { name, source in
      template ? ["", "\(name):", source] : ["  " + source.replacing("\n", with: "⏎").prefix(90) + "…"]
    }
  }
}
