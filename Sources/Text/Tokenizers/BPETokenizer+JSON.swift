import OrderedCollections

extension BPETokenizer {
  /// Reads a Hugging Face `tokenizer.json` with a BPE model.
  ///
  /// - Parameters:
  ///   - tokenizerJSON: the bytes of `tokenizer.json`.
  ///   - configJSON: the bytes of `tokenizer_config.json`, which names the special tokens. Its `add_bos_token` and
  ///     `add_eos_token` count where `tokenizer.json` has no post-processor.
  /// - Throws: ``TokenizerError`` with the path of the key that is malformed, inconsistent or of a kind not supported.
  public init(tokenizerJSON: [UInt8], configJSON: [UInt8]? = nil) throws(TokenizerError) {
    let source = "tokenizer.json"
    let file: TokenizerFile
    do throws(JSONError) { file = try TokenizerFile(tokenizerJSON) } catch { throw TokenizerError(source, "", "\(error)") }
    let root = ComponentField(value: .object(file.members), source: source, path: "")
    let configuration = try configJSON.map { bytes throws(TokenizerError) in try TokenizerConfiguration(bytes) }

    let normalizers = try root["normalizer"].map { field throws(TokenizerError) in try Normalizer.steps(field) } ?? []
    let preTokenizers = try BPETokenizer.preTokenizers(root)
    let unit: BPEModel.Unit = preTokenizers.last?.isByteLevel == true ? .byte : .scalar
    var model = try root.required("model")
    if model["type"] == nil, file.hasVocabulary { model = model.assumingType("BPE") }
    let tokens = try file.tokenTable(model)
    var parts = Parts(model: try file.bpeModel(model, tokens: tokens, unit: unit))
    parts.normalizers = normalizers
    parts.preTokenizers = preTokenizers
    parts.added = try BPETokenizer.addedTokens(root, in: tokens)
    parts.decoding =
      try root["decoder"].map { field throws(TokenizerError) in try DecodingStep.steps(field) } ?? [.joinedBySpaces]
    parts.special = configuration?.special ?? SpecialTokens()
    let added = Set(parts.added.map(\.id))
    if let field = root["post_processor"] {
      parts.postProcessor = try PostProcessor(field) { added.contains($0) || tokens.spelling(of: $0) != nil }
    } else if let configuration {
      parts.postProcessor = try BPETokenizer.postProcessor(configuration, parts.added, tokens)
    }
    self.init(parts)
  }

  private static func preTokenizers(_ root: ComponentField) throws(TokenizerError) -> [PreTokenizer] {
    guard let field = root["pre_tokenizer"] else { return [] }
    let steps = try PreTokenizer.steps(field)
    guard !steps.dropLast().contains(where: \.isByteLevel) else {
      throw field.error("the pre-tokenizer “ByteLevel” is supported as the last step only")
    }
    return steps
  }

  /// The added tokens, checked against the vocabulary and one another.
  private static func addedTokens(_ root: ComponentField, in tokens: TokenTable) throws(TokenizerError) -> [AddedToken] {
    var result: [AddedToken] = []
    var (byID, byContent) = ([Int32: [UInt8]](), [[UInt8]: Int32]())
    for field in try root["added_tokens"]?.elements() ?? [] {
      let token = try AddedToken(field)
      let content = Array(token.content.utf8)
      if let known = byContent[content] ?? tokens.id(of: content), known != token.id {
        throw field.error("“\(token.content)” has the id \(token.id) here and \(known) elsewhere")
      }
      if let known = byID[token.id] ?? tokens.spelling(of: token.id), known != content {
        throw field.error("the id \(token.id) belongs to “\(String(decoding: known, as: UTF8.self))” already")
      }
      (byID[token.id], byContent[content]) = (content, token.id)
      result.append(token)
    }
    return result
  }

  private static func postProcessor(
    _ configuration: TokenizerConfiguration, _ added: [AddedToken], _ tokens: TokenTable
  ) throws(TokenizerError) -> PostProcessor {
    func ids(_ token: String?, _ isWanted: Bool?, _ key: String) throws(TokenizerError) -> [Int32] {
      guard isWanted == true, let token else { return [] }
      let bytes = Array(token.utf8)
      guard let id = added.first(where: { Array($0.content.utf8) == bytes })?.id ?? tokens.id(of: bytes) else {
        throw TokenizerError("tokenizer_config.json", key, "“\(token)” is not in the vocabulary")
      }
      return [id]
    }
    return PostProcessor(
      prefix: try ids(configuration.special.bos, configuration.addsBOS, "bos_token"),
      suffix: try ids(configuration.special.eos, configuration.addsEOS, "eos_token"))
  }
}

extension ComponentField {
  /// The same object with a `type`, which old files leave out.
  fileprivate func assumingType(_ type: String) -> ComponentField {
    guard var members = value.object else { return self }
    members["type"] = .string(type)
    return ComponentField(value: .object(members), source: source, path: path)
  }
}

extension TokenizerFile {
  /// The vocabulary of a BPE model.
  func tokenTable(_ model: ComponentField) throws(TokenizerError) -> TokenTable {
    let kind = try model.required("type").string()
    guard kind == "BPE" else { throw model.error("the model “\(kind)” is not supported") }
    guard hasVocabulary else { throw model.error("the key “vocab” is missing or not an object") }
    var table = TokenTable(capacity: spellings.count)
    for index in 0..<spellings.count {
      let name = String(decoding: spellings[index], as: UTF8.self)
      let field = ComponentField(value: ids[index], source: model.source, path: "\(model.path).vocab[“\(name)”]")
      let id = try field.tokenID()
      switch spellings[index].withUnsafeBufferPointer({ table.insert($0, id: id) }) {
      case .done: break
      case .spellingTaken(let other): throw field.error("the token is there twice, with the ids \(other) and \(id)")
      case .idTaken: throw field.error("the id \(id) belongs to “\(table.string(of: id) ?? "")” already")
      }
    }
    return table
  }

  /// The model with its merges.
  func bpeModel(_ model: ComponentField, tokens: TokenTable, unit: BPEModel.Unit) throws(TokenizerError) -> BPEModel {
    if let dropout = model["dropout"], dropout.value.double != 0 { throw dropout.error("dropout is not supported") }
    var options = BPEModel.Options()
    if let unknown = model["unk_token"] {
      let name = try unknown.string()
      guard let id = tokens.id(of: name) else { throw unknown.error("“\(name)” is not in the vocabulary") }
      options.unknown = id
    }
    options.fusesUnknown = try model.bool("fuse_unk", default: false)
    options.fallsBackToBytes = try model.bool("byte_fallback", default: false)
    options.ignoresMerges = try model.bool("ignore_merges", default: false)
    options.continuingPrefix = Array(try model.string("continuing_subword_prefix", default: "").utf8)
    options.endOfWordSuffix = Array(try model.string("end_of_word_suffix", default: "").utf8)
    if let merges = model["merges"] { throw merges.wrongType("an array") }
    let pairs = try pairTable(model, tokens, prefixLength: options.continuingPrefix.count)
    return BPEModel(tokens: tokens, merges: pairs, unit: unit, options: options)
  }

  private func pairTable(_ model: ComponentField, _ tokens: TokenTable, prefixLength: Int) throws(TokenizerError) -> PairTable {
    func failure(_ index: Int, _ problem: String) -> TokenizerError {
      TokenizerError(model.source, "\(model.path).merges[\(index)]", problem)
    }
    if let malformedMerge { throw failure(malformedMerge, "expected two pieces, as “a b” or [“a”, “b”]") }
    var pairs = PairTable(capacity: merges.count / 2)
    for index in 0..<merges.count / 2 {
      let (left, right) = (merges[index * 2], merges[index * 2 + 1])
      func id(_ piece: ArraySlice<UInt8>) throws(TokenizerError) -> Int32 {
        guard let id = piece.withUnsafeBufferPointer({ tokens.id(of: $0) }) else {
          throw failure(index, "“\(String(decoding: piece, as: UTF8.self))” is not in the vocabulary")
        }
        return id
      }
      let merged = left + right.dropFirst(prefixLength)
      pairs.insert(try id(left), try id(right), PairTable.Merge(rank: UInt32(index), id: try id(merged)))
    }
    return pairs
  }
}
