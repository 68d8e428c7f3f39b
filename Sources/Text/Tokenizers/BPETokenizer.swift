/// A byte-pair encoding tokenizer with all that its files put before and after the merging.
///
/// The ids are those of Hugging Face `tokenizers` for the same files: added tokens are cut out of the text, what lies between is
/// normalized and split into words, each word is merged, and the template puts its tokens around the whole.
public struct BPETokenizer: Tokenizer {
  /// The parts that a tokenizer is put together from.
  struct Parts: Sendable {
    var model: any WordModel
    var added: [AddedToken] = []
    var normalizers: [Normalizer] = []
    var preTokenizers: [PreTokenizer] = []
    var postProcessor = PostProcessor()
    var decoding: [DecodingStep] = []
    var special = SpecialTokens()
  }

  /// The special tokens that the files name.
  public let special: SpecialTokens
  /// Ids run from 0 to one less than this, gaps included.
  public let vocabularySize: Int
  private let model: any WordModel
  private let addedByContent: [[UInt8]: Int32]
  private let addedByID: [Int32: AddedToken]
  /// How an added token reads in a decoded text: its normalized form, where that is what it is matched in.
  private let addedSpellings: [Int32: [UInt8]]
  private let rawFinder: AddedTokenFinder
  private let normalizedFinder: AddedTokenFinder
  private let normalizers: [Normalizer]
  private let preTokenizers: [PreTokenizer]
  private let postProcessor: PostProcessor
  private let decoding: [DecodingStep]
  private let scratch = EncodingScratchPool()
  private let pieces = LazyPieceTable()

  init(_ parts: Parts) {
    model = parts.model
    normalizers = parts.normalizers
    preTokenizers = parts.preTokenizers
    postProcessor = parts.postProcessor
    decoding = parts.decoding
    special = parts.special
    addedByID = Dictionary(parts.added.map { ($0.id, $0) }) { first, _ in first }
    addedByContent = Dictionary(parts.added.map { (Array($0.content.utf8), $0.id) }) { first, _ in first }
    vocabularySize = max(parts.model.tokens.count, Int(parts.added.map(\.id).max() ?? -1) + 1)
    var matcher = PatternMatcher()
    let entries = parts.added.map { token in
      let content = Array(token.content.utf8)
      let steps = token.isNormalized ? parts.normalizers : []
      return (content: steps.reduce(content) { $1.apply(to: $0, scratch: &matcher) }, token: token)
    }
    rawFinder = AddedTokenFinder(entries.filter { !$0.token.isNormalized })
    normalizedFinder = AddedTokenFinder(entries.filter(\.token.isNormalized))
    addedSpellings = Dictionary(entries.map { ($0.token.id, $0.content) }) { first, _ in first }
  }

  // MARK: Encoding

  /// The ids of `text`, those of added tokens that it spells out among them.
  public func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
    let bytes = Array(text.utf8)
    var ids: [Int32] = addSpecialTokens ? postProcessor.prefix : []
    ids.reserveCapacity(bytes.count / 3 + 8)
    scratch.withScratch { scratch in
      for section in rawFinder.sections(of: bytes) {
        switch section {
        case .token(let id): ids.append(id)
        case .text(let range):
          let part = range.count == bytes.count ? bytes : Array(bytes[range])
          encode(part, startsText: range.lowerBound == 0, into: &ids, &scratch)
        }
      }
    }
    if addSpecialTokens { ids += postProcessor.suffix }
    return ids
  }

  /// The ids of `text` and where each begins, see ``Tokenizer/encodeWithOffsets(_:)``.
  public func encodeWithOffsets(_ text: String) throws(OffsetMismatch) -> (ids: [Int32], offsets: [Int]) {
    let ids = encode(text, addSpecialTokens: false)
    return (ids, try TokenWalk.offsets(of: ids, in: text, Pieces(tokenizer: self, table: pieces.value(pieceTable))))
  }

  /// What the ids spell, from a table.
  private struct Pieces: TokenPieceSource {
    let tokenizer: BPETokenizer
    let table: PieceTable

    @inline(__always)
    func isSpecial(_ id: Int32) -> Bool { table.isSpecial(id) }

    @inline(__always)
    func withBytes<Result>(of id: Int32, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
      table.withBytes(of: id, body)
    }

    func token(of id: Int32) -> String? { tokenizer.token(of: id) }
  }

  private func pieceTable() -> PieceTable {
    var table = PieceTable(capacity: vocabularySize)
    let isByteLevel = decoding == [.byteLevel]
    for id in 0..<Int32(truncatingIfNeeded: vocabularySize) {
      let isPlain = isByteLevel && addedSpellings[id] == nil
      table.append(isSpecial: isSpecial(id)) { bytes in
        // The usual case by itself, since it makes no array for each id.
        let isDone = isPlain && model.tokens.withSpelling(of: id) { ByteAlphabet.append(bytesOf: $0, to: &bytes) } == true
        if !isDone { bytes += self.bytes(of: id) }
      }
    }
    return table
  }

  /// Encodes a stretch of text that holds no added token matched in raw text.
  private func encode(_ raw: [UInt8], startsText: Bool, into ids: inout [Int32], _ scratch: inout EncodingScratch) {
    let text = normalizers.reduce(raw) { $1.apply(to: $0, scratch: &scratch.matcher) }
    for section in normalizedFinder.sections(of: text) {
      switch section {
      case .token(let id): ids.append(id)
      case .text(let range):
        let part = range.count == text.count ? text : Array(text[range])
        var pieces = PreTokenizedText(part, startsText: startsText && range.lowerBound == 0)
        for step in preTokenizers { pieces.apply(step, scratch: &scratch.matcher) }
        append(pieces, by: model, to: &ids, &scratch)
      }
    }
  }

  private func append(
    _ text: PreTokenizedText, by model: some WordModel, to ids: inout [Int32], _ scratch: inout EncodingScratch
  ) {
    text.bytes.withUnsafeBufferPointer { bytes in
      for piece in text.pieces {
        let word = UnsafeBufferPointer(rebasing: bytes[piece.start..<piece.end])
        guard word.count <= WordCache.longestWord else {
          BPETokenizer.encodeLong(word, by: model, into: &ids, queue: &scratch.queue)
          continue
        }
        let hash = ByteHash.hash(word)
        if scratch.cache.append(word, hash: hash, to: &ids) { continue }
        let first = ids.count
        model.encode(word, into: &ids, queue: &scratch.queue)
        scratch.cache.insert(word, hash: hash, ids: ids[first...])
      }
    }
  }

  /// The most bytes that are merged as one word; what is longer is cut between characters.
  private static let longestWord = 1 << 28

  private static func encodeLong(
    _ word: UnsafeBufferPointer<UInt8>, by model: some WordModel, into ids: inout [Int32], queue: inout MergeQueue
  ) {
    var start = 0
    while start < word.count {
      var end = min(start + longestWord, word.count)
      if end < word.count { end = UTF8Scalars.boundary(before: end + 1, in: word) }
      model.encode(UnsafeBufferPointer(rebasing: word[start..<end]), into: &ids, queue: &queue)
      start = end
    }
  }

  // MARK: Decoding

  /// The text of `ids`; an id outside the vocabulary becomes U+FFFD.
  public func decode(_ ids: some Sequence<Int32>, skipSpecialTokens: Bool) -> String {
    var decoder = streamingDecoder(skipSpecialTokens: skipSpecialTokens)
    return decoder.text(of: ids)
  }

  /// A decoder that takes ids one by one and gives the text that `decode` gives.
  public func streamingDecoder(skipSpecialTokens: Bool) -> StreamingDecoder {
    let tokenizer = self
    return StreamingDecoder(steps: decoding) { id in
      if skipSpecialTokens, tokenizer.isSpecial(id) { return nil }
      return tokenizer.spelling(of: id) ?? Array("\u{FFFD}".utf8)
    }
  }

  // MARK: The vocabulary

  private func spelling(of id: Int32) -> [UInt8]? {
    addedSpellings[id] ?? model.tokens.spelling(of: id)
  }

  /// The id of a token as the vocabulary or the list of added tokens spells it.
  public func id(of token: String) -> Int32? { addedByContent[Array(token.utf8)] ?? model.tokens.id(of: token) }

  /// The spelling of an id.
  public func token(of id: Int32) -> String? { addedByID[id]?.content ?? model.tokens.string(of: id) }

  /// True for an added token that is marked as special.
  public func isSpecial(_ id: Int32) -> Bool { addedByID[id]?.isSpecial ?? false }

  /// The bytes that an id stands for inside a text; none outside the vocabulary.
  public func bytes(of id: Int32) -> [UInt8] {
    guard let spelling = spelling(of: id) else { return [] }
    return DecodingStep.bytes(of: spelling, by: decoding)
  }
}
