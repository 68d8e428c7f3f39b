import OrderedCollections

extension GGUFVocabulary {
  /// The vocabulary as a `tokenizer.json` with which Hugging Face `tokenizers` gives the same ids.
  ///
  /// - Throws: ``TokenizerError`` for a vocabulary that has no exact counterpart: SentencePiece scores, or a space put in front
  ///   of every text; and where the vocabulary is damaged.
  public func tokenizerJSON() throws(TokenizerError) -> String {
    guard model == "gpt2" else {
      throw GGUFVocabulary.error("model", "tokenizer.json has no exact counterpart of the model “\(model)”, only of “gpt2”")
    }
    guard addSpacePrefix != true else {
      throw GGUFVocabulary.error("add_space_prefix", "tokenizer.json has no exact counterpart of a space before split text")
    }
    let splitting = try GGUFSplitting(named: pre ?? "default")
    let byteLevel: JSON = ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false]
    let splits = splitting.expressions.map { expression -> JSON in
      ["type": "Split", "pattern": ["Regex": .string(expression)], "behavior": "Isolated", "invert": false]
    }
    let members = [
      ("version", "1.0"), ("truncation", .null), ("padding", .null), ("added_tokens", .array(addedTokens().map(\.json))),
      ("normalizer", splitting.normalizes ? ["type": "NFC"] : .null),
      ("pre_tokenizer", ["type": "Sequence", "pretokenizers": .array(splits + [byteLevel])]),
      ("post_processor", try templateProcessing(addsBOS: addBOS ?? splitting.addsBOS, addsEOS: addEOS ?? false)),
      ("decoder", byteLevel),
    ].map { (name: String, value: JSON) in "  \"\(name)\": \(value.text(.python)),\n" }
    return "{\n" + members.joined() + "  \"model\": \(try modelJSON(ignoresMerges: splitting.ignoresMerges))\n}\n"
  }

  /// What `tokenizer_config.json` says beside it.
  ///
  /// - Parameter contextLength: the model's context in tokens; nil where it is not known.
  /// - Throws: ``TokenizerError`` where a special token's id is not in the vocabulary.
  public func tokenizerConfigJSON(contextLength: Int?) throws(TokenizerError) -> JSON {
    let special = try specialTokens()
    var members: OrderedDictionary<String, JSON> = ["tokenizer_class": "PreTrainedTokenizerFast"]
    let named = [("bos_token", special.bos), ("eos_token", special.eos), ("pad_token", special.pad), ("unk_token", special.unk)]
    for (name, token) in named { members[name] = token.map(JSON.string) ?? .null }
    members["clean_up_tokenization_spaces"] = false
    if let contextLength { members["model_max_length"] = .int(contextLength) }
    return .object(members)
  }

  /// Vocabulary and merges. They are written as text: `String` takes some spellings for equal that are different tokens.
  private func modelJSON(ignoresMerges: Bool) throws(TokenizerError) -> String {
    let vocabulary = tokens.indices.map { "\(JSON.string(spelling(of: $0)).text()): \($0)" }
    var pairs: [String] = []
    pairs.reserveCapacity(merges.count)
    for rank in merges.indices {
      let (left, right) = try pieces(ofMerge: rank)
      let pair: JSON = [.string(String(decoding: left, as: UTF8.self)), .string(String(decoding: right, as: UTF8.self))]
      pairs.append(pair.text(.python))
    }
    return """
      {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, \
      "fuse_unk": false, "byte_fallback": false, "ignore_merges": \(ignoresMerges),
      "vocab": {\(vocabulary.joined(separator: ", "))},
      "merges": [\(pairs.joined(separator: ", "))]}
      """
  }

  /// What stands around a text, as a post-processor; null where nothing does.
  private func templateProcessing(addsBOS: Bool, addsEOS: Bool) throws(TokenizerError) -> JSON {
    let special = try specialTokens()
    func token(_ name: String?, _ isWanted: Bool, _ key: String) throws(TokenizerError) -> [String] {
      guard isWanted else { return [] }
      guard let name else { throw GGUFVocabulary.error(key, "the id is missing, and the token is to be added to each text") }
      return [name]
    }
    let before = try token(special.bos, addsBOS, "bos_token_id")
    let after = try token(special.eos, addsEOS, "eos_token_id")
    guard !before.isEmpty || !after.isEmpty else { return .null }
    func part(_ sequence: String, type: JSON) -> [JSON] {
      let around: (String) -> JSON = { ["SpecialToken": ["id": .string($0), "type_id": type]] }
      return before.map(around) + [["Sequence": ["id": .string(sequence), "type_id": type]]] + after.map(around)
    }
    var definitions: OrderedDictionary<String, JSON> = [:]
    for (name, id) in Array(zip(before, [bosID])) + Array(zip(after, [eosID])) {
      definitions[name] = ["id": .string(name), "ids": [id.map(JSON.int) ?? .null], "tokens": [.string(name)]]
    }
    return [
      "type": "TemplateProcessing", "single": .array(part("A", type: 0)), "pair": .array(part("A", type: 0) + part("B", type: 1)),
      "special_tokens": .object(definitions),
    ]
  }
}
