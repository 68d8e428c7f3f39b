/// SentencePiece's byte-pair encoding, which ranks merges by the score of the piece they make (Kudo and Richardson, 2018,
/// arXiv:1808.06226): neighbours merge where their text is a piece, the best score first.
struct ScoredPieceModel: WordModel {
  let tokens: TokenTable
  /// The rank of each piece, 0 for the best score; `UInt32.max` for one that no merge may make.
  private let ranks: [UInt32]
  private let unknown: Int32
  private let fallbackIDs: [Int32]

  /// - Parameters:
  ///   - scores: one for each id; finite.
  ///   - isMergeable: whether merges and single characters may become the id.
  init(tokens: TokenTable, scores: [Float], unknown: Int32, isMergeable: (Int32) -> Bool) {
    self.tokens = tokens
    self.unknown = unknown
    let order = Dictionary(uniqueKeysWithValues: Set(scores).sorted(by: >).enumerated().map { ($1, UInt32($0)) })
    ranks = scores.enumerated().map { isMergeable(Int32($0)) ? order[$1] ?? .max : .max }
    fallbackIDs = (0...255).map { tokens.id(of: BPEModel.fallbackSpelling(of: $0)) ?? unknown }
  }

  func encode(_ word: UnsafeBufferPointer<UInt8>, into ids: inout [Int32], queue: inout MergeQueue) {
    queue.removeAll()
    let rule = PieceScores(model: self)
    var index = 0
    while index < word.count {
      let length = UTF8Scalars.length(startingWith: word[index])
      let id = rule.merge(index, length, in: word)?.id ?? -1
      queue.append(MergeSymbol(id: id, start: index, length: length))
      index += length
    }
    queue.merge(word, by: rule)
    for symbol in queue.symbols where symbol.length > 0 {
      if symbol.id >= 0 {
        ids.append(symbol.id)
      } else {
        for byte in word[Int(symbol.start)..<Int(symbol.start + symbol.length)] { ids.append(fallbackIDs[Int(byte)]) }
      }
    }
  }

  private struct PieceScores: MergeRule {
    let model: ScoredPieceModel

    @inline(__always)
    func merge(_ left: MergeSymbol, _ right: MergeSymbol, in word: UnsafeBufferPointer<UInt8>) -> PairTable.Merge? {
      merge(Int(left.start), Int(left.length + right.length), in: word)
    }

    @inline(__always)
    func merge(_ start: Int, _ length: Int, in word: UnsafeBufferPointer<UInt8>) -> PairTable.Merge? {
      let text = UnsafeBufferPointer(rebasing: word[start..<start + length])
      guard let id = model.tokens.id(of: text), model.ranks[Int(id)] != .max else { return nil }
      return PairTable.Merge(rank: model.ranks[Int(id)], id: id)
    }
  }
}
