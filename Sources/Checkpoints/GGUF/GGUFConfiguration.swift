import OrderedCollections
import Text

/// A GGUF file's metadata as a model's configuration asks for it.
struct GGUFConfiguration {
  let file: GGUFFile
  /// `general.architecture`, the prefix of the keys.
  let architecture: String

  var metadata: GGUFMetadata { file.metadata }

  /// A whole number of the architecture; a list with one value for all layers counts as that value.
  func int(_ name: String) throws(CheckpointError) -> Int? {
    let key = "\(architecture).\(name)"
    guard let perLayer = metadata[key]?.array?.ints else { return try metadata.int(key) }
    guard let first = perLayer.first, perLayer.allSatisfy({ $0 == first }) else {
      throw CheckpointError(
        .unsupported, at: file.path, in: "key “\(key)”", "differs from layer to layer, which no supported model does")
    }
    return first
  }

  /// A whole number above zero that must be there.
  func size(_ name: String) throws(CheckpointError) -> Int {
    let key = "\(architecture).\(name)"
    let value = try metadata.required(int(name), key)
    guard value > 0 else { throw CheckpointError(.malformed, at: file.path, in: "key “\(key)”", "\(value) is not above zero") }
    return value
  }

  /// A number of the architecture.
  func double(_ name: String) throws(CheckpointError) -> Double? { try metadata.double("\(architecture).\(name)") }

  /// A number of the architecture that must be there.
  func requiredDouble(_ name: String) throws(CheckpointError) -> Double {
    try metadata.required(double(name), "\(architecture).\(name)")
  }

  /// Text of the architecture.
  func string(_ name: String) throws(CheckpointError) -> String? { try metadata.string("\(architecture).\(name)") }

  /// True where the file holds a tensor of this name.
  func has(_ tensor: String) -> Bool { file.info(tensor) != nil }

  /// Heads that queries, and heads that keys and values, are split into.
  func heads() throws(CheckpointError) -> (query: Int, key: Int) {
    let query = try size("attention.head_count")
    let key = try int("attention.head_count_kv") ?? query
    guard key > 0, query % key == 0 else {
      throw CheckpointError(
        .malformed, at: file.path, in: "key “\(architecture).attention.head_count_kv”", "\(key) does not divide \(query) heads")
    }
    return (query, key)
  }

  /// The size of a head.
  func headSize() throws(CheckpointError) -> Int {
    if let size = try int("attention.key_length") { return size }
    return try size("embedding_length") / heads().query
  }

  /// The number of tokens: the rows of the embedding.
  func vocabularySize() throws(CheckpointError) -> Int {
    guard let shape = file.info("token_embd.weight")?.shape, shape.count == 2 else {
      throw CheckpointError(
        .malformed, at: file.path, in: "tensor “token_embd.weight”", "is missing or not a matrix",
        remedy: "A file that holds a vocabulary only serves for tokenizing")
    }
    return shape[0]
  }

  /// What every configuration has: whether input and output embeddings are one, and the special tokens.
  func common(_ modelType: String, class name: String) throws(CheckpointError) -> OrderedDictionary<String, JSON> {
    var config: OrderedDictionary<String, JSON> = [
      "architectures": [.string(name)],
      "model_type": .string(modelType),
      "vocab_size": .int(try vocabularySize()),
      "tie_word_embeddings": .bool(!has("output.weight")),
    ]
    for name in ["bos", "eos", "pad"] {
      let key = name == "pad" ? "tokenizer.ggml.padding_token_id" : "tokenizer.ggml.\(name)_token_id"
      if let id = try metadata.int(key) { config["\(name)_token_id"] = .int(id) }
    }
    return config
  }

  /// What the configurations of Llama and the families after it share.
  func decoder(_ modelType: String, class name: String) throws(CheckpointError) -> OrderedDictionary<String, JSON> {
    guard try int("expert_count") ?? 0 == 0 else {
      throw CheckpointError(.unsupported, at: file.path, "holds a mixture of experts, which is not supported")
    }
    let heads = try heads()
    var config = try common(modelType, class: name)
    config["hidden_size"] = .int(try size("embedding_length"))
    config["intermediate_size"] = .int(try size("feed_forward_length"))
    config["num_hidden_layers"] = .int(try size("block_count"))
    config["num_attention_heads"] = .int(heads.query)
    config["num_key_value_heads"] = .int(heads.key)
    config["head_dim"] = .int(try headSize())
    config["max_position_embeddings"] = .int(try size("context_length"))
    config["rms_norm_eps"] = .double(try requiredDouble("attention.layer_norm_rms_epsilon"))
    config["rope_theta"] = .double(try double("rope.freq_base") ?? 10_000)
    if let scaling = try rotaryScaling() { config["rope_scaling"] = scaling }
    return config
  }
}
