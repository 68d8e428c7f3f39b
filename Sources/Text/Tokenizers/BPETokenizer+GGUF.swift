extension BPETokenizer {
  /// The tokenizer of a GGUF file.
  ///
  /// - Throws: ``TokenizerError`` with the key that is malformed, inconsistent or of a kind not supported.
  public init(_ vocabulary: GGUFVocabulary) throws(TokenizerError) {
    let tokens = try vocabulary.tokenTable()
    var parts: Parts
    switch vocabulary.model {
    case "gpt2": parts = try vocabulary.byteLevelParts(tokens)
    case "llama": parts = try vocabulary.sentencePieceParts(tokens)
    default: throw GGUFVocabulary.error("model", "the model “\(vocabulary.model)” is not supported, only “gpt2” and “llama” are")
    }
    parts.added = vocabulary.addedTokens()
    self.init(parts)
  }
}

extension GGUFVocabulary {
  static func error(_ key: String, _ problem: String) -> TokenizerError {
    TokenizerError("GGUF metadata", "tokenizer.ggml.\(key)", problem)
  }

  fileprivate func tokenTable() throws(TokenizerError) -> TokenTable {
    guard !tokens.isEmpty, tokens.count <= TokenTable.maximumCount else {
      throw GGUFVocabulary.error("tokens", "\(tokens.count) tokens; 1 to \(TokenTable.maximumCount) are supported")
    }
    guard types.isEmpty || types.count == tokens.count else {
      throw GGUFVocabulary.error("token_type", "\(types.count) types for \(tokens.count) tokens")
    }
    var table = TokenTable(capacity: tokens.count)
    for (id, token) in tokens.enumerated() {
      let spelling = spelling(of: id)
      if case .spellingTaken(let other) = table.insert(spelling, id: Int32(id)) {
        throw GGUFVocabulary.error("tokens[\(id)]", "“\(token)” has the id \(other) already")
      }
    }
    return table
  }

  /// The spelling of an id in the vocabulary; a token without one gets a name that no text holds.
  func spelling(of id: Int) -> String { tokens[id].isEmpty ? "[EMPTY_\(id)]" : tokens[id] }

  /// The spelling of an id that a key names.
  private func spelling(_ id: Int?, _ key: String) throws(TokenizerError) -> String? {
    guard let id else { return nil }
    guard tokens.indices.contains(id) else { throw GGUFVocabulary.error(key, "\(id) is not in 0..<\(tokens.count)") }
    return tokens[id]
  }

  func specialTokens() throws(TokenizerError) -> SpecialTokens {
    SpecialTokens(
      bos: try spelling(bosID, "bos_token_id"), eos: try spelling(eosID, "eos_token_id"),
      pad: try spelling(padID, "padding_token_id"),
      unk: try spelling(unkID, "unknown_token_id"))
  }

  private func postProcessor(addsBOS: Bool, addsEOS: Bool) throws(TokenizerError) -> PostProcessor {
    func ids(_ id: Int?, _ isWanted: Bool, _ key: String) throws(TokenizerError) -> [Int32] {
      guard isWanted else { return [] }
      guard let id else { throw GGUFVocabulary.error(key, "the id is missing, and the token is to be added to each text") }
      return [Int32(truncatingIfNeeded: id)]
    }
    return PostProcessor(
      prefix: try ids(bosID, addsBOS, "bos_token_id"), suffix: try ids(eosID, addsEOS, "eos_token_id"))
  }

  /// Control, unknown and user-defined tokens are looked for in the text; so are BOS and EOS, which some files do not mark.
  func addedTokens() -> [AddedToken] {
    tokens.indices.compactMap { id in
      let type = type(of: id)
      let isSpecial = type == .control || type == .unknown || id == bosID || id == eosID
      guard isSpecial || type == .userDefined, !tokens[id].isEmpty else { return nil }
      return AddedToken(id: Int32(truncatingIfNeeded: id), content: tokens[id], isSpecial: isSpecial)
    }
  }

  // MARK: gpt2

  fileprivate func byteLevelParts(_ tokens: TokenTable) throws(TokenizerError) -> BPETokenizer.Parts {
    let splitting = try GGUFSplitting(named: pre ?? "default")
    var options = BPEModel.Options()
    options.ignoresMerges = splitting.ignoresMerges
    let model = BPEModel(tokens: tokens, merges: try pairTable(tokens), unit: .byte, options: options)
    var parts = BPETokenizer.Parts(model: model)
    if splitting.normalizes { parts.normalizers = [.form(.canonicalComposition)] }
    parts.preTokenizers = splitting.steps
    if addSpacePrefix == true { parts.preTokenizers.insert(.byteLevel(addsPrefixSpace: true, splitter: nil), at: 0) }
    parts.decoding = [.byteLevel]
    parts.special = try specialTokens()
    parts.postProcessor = try postProcessor(addsBOS: addBOS ?? splitting.addsBOS, addsEOS: addEOS ?? false)
    return parts
  }

  /// The two pieces of a merge.
  func pieces(ofMerge rank: Int) throws(TokenizerError) -> (left: ArraySlice<UInt8>, right: ArraySlice<UInt8>) {
    let bytes = Array(merges[rank].utf8)
    guard let space = bytes.dropFirst().firstIndex(of: 0x20) else {
      throw GGUFVocabulary.error("merges[\(rank)]", "“\(merges[rank])” is not two pieces with a space between them")
    }
    return (bytes[..<space], bytes[(space + 1)...])
  }

  private func pairTable(_ tokens: TokenTable) throws(TokenizerError) -> PairTable {
    var pairs = PairTable(capacity: merges.count)
    var joined: [UInt8] = []
    for rank in merges.indices {
      var merge = merges[rank]
      let found = merge.withUTF8 { ids(ofMerge: $0, in: tokens, joined: &joined) }
      guard let found else { throw try problem(ofMerge: rank, in: tokens) }
      pairs.insert(found.left, found.right, PairTable.Merge(rank: UInt32(rank), id: found.merged))
    }
    return pairs
  }

  /// The ids of the two pieces of a merge and of both together; nil where it is damaged or one of them is not in the vocabulary.
  ///
  /// - Parameter joined: room to work in, so that no array is made for each merge.
  private func ids(
    ofMerge merge: UnsafeBufferPointer<UInt8>, in tokens: TokenTable, joined: inout [UInt8]
  ) -> (left: Int32, right: Int32, merged: Int32)? {
    guard let space = merge.dropFirst().firstIndex(of: 0x20) else { return nil }
    joined.removeAll(keepingCapacity: true)
    joined.append(contentsOf: merge[..<space])
    joined.append(contentsOf: merge[(space + 1)...])
    guard let left = tokens.id(of: UnsafeBufferPointer(rebasing: merge[..<space])),
      let right = tokens.id(of: UnsafeBufferPointer(rebasing: merge[(space + 1)...])), let merged = tokens.id(of: joined)
    else { return nil }
    return (left, right, merged)
  }

  /// Why a merge cannot be used.
  private func problem(ofMerge rank: Int, in tokens: TokenTable) throws(TokenizerError) -> TokenizerError {
    let (left, right) = try pieces(ofMerge: rank)
    let absent = [Array(left + right), Array(left), Array(right)].first { tokens.id(of: $0) == nil } ?? []
    return GGUFVocabulary.error("merges[\(rank)]", "“\(String(decoding: absent, as: UTF8.self))” is not in the vocabulary")
  }

  // MARK: llama

  fileprivate func sentencePieceParts(_ tokens: TokenTable) throws(TokenizerError) -> BPETokenizer.Parts {
    guard scores.count == tokens.count else {
      throw GGUFVocabulary.error("scores", "\(scores.count) scores for \(tokens.count) tokens")
    }
    if let index = scores.firstIndex(where: { !$0.isFinite }) {
      throw GGUFVocabulary.error("scores[\(index)]", "the score is not a finite number")
    }
    var vocabulary = self
    vocabulary.bosID = bosID ?? 1
    vocabulary.eosID = eosID ?? 2
    vocabulary.unkID = unkID ?? 0
    let special = try vocabulary.specialTokens()
    let model = ScoredPieceModel(tokens: tokens, scores: scores, unknown: Int32(truncatingIfNeeded: vocabulary.unkID ?? 0)) {
      [.normal, .userDefined].contains(type(of: Int($0)))
    }
    let (space, addsSpace) = (Array("▁".utf8), addSpacePrefix ?? true)
    var parts = BPETokenizer.Parts(model: model)
    parts.normalizers = (addsSpace ? [.prepend(space)] : []) + [.replace(.literal([0x20]), with: space)]
    parts.decoding = [.replace(space, with: [0x20]), .byteFallback, .fuse]
    if addsSpace { parts.decoding.append(.strip(content: [0x20], start: 1, stop: 0)) }
    parts.special = special
    parts.postProcessor = try vocabulary.postProcessor(addsBOS: addBOS ?? true, addsEOS: addEOS ?? false)
    return parts
  }
}
