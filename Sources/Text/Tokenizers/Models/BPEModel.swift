/// Byte-pair encoding by ranked merges (Sennrich et al., 2016, arXiv:1508.07909), over bytes or over characters.
struct BPEModel: WordModel {
  /// What a word is cut into before anything is merged.
  enum Unit: Sendable { case byte, scalar }

  struct Options: Sendable {
    var unknown: Int32?
    /// A run of unknown units becomes one unknown token.
    var fusesUnknown = false
    /// An unknown unit is spelt with the tokens `<0x00>` … `<0xFF>` where the vocabulary has them.
    var fallsBackToBytes = false
    /// A word that is in the vocabulary is one token, merges or no merges.
    var ignoresMerges = false
    /// What the vocabulary puts before each unit but the first of a word.
    var continuingPrefix: [UInt8] = []
    /// What the vocabulary puts after the last unit of a word.
    var endOfWordSuffix: [UInt8] = []
  }

  let tokens: TokenTable
  let merges: PairTable
  let unit: Unit
  let options: Options
  /// The token of each byte, or -1, where the unit is the byte.
  private let byteIDs: [Int32]
  /// The token `<0xXX>` of each byte, or -1.
  private let fallbackIDs: [Int32]

  init(tokens: TokenTable, merges: PairTable, unit: Unit, options: Options) {
    self.tokens = tokens
    self.merges = merges
    self.unit = unit
    self.options = options
    byteIDs = ByteAlphabet.spellings.map { tokens.id(of: $0) ?? -1 }
    fallbackIDs = (0...255).map { tokens.id(of: BPEModel.fallbackSpelling(of: $0)) ?? -1 }
  }

  /// `<0x0A>` for 10.
  static func fallbackSpelling(of byte: Int) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return "<0x" + (digits.count < 2 ? "0" : "") + digits + ">"
  }

  func encode(_ word: UnsafeBufferPointer<UInt8>, into ids: inout [Int32], queue: inout MergeQueue) {
    if options.ignoresMerges {
      let known = unit == .byte ? tokens.id(of: ByteAlphabet.spelling(of: word)) : tokens.id(of: word)
      if let known {
        ids.append(known)
        return
      }
    }
    queue.removeAll()
    cut(word, into: &queue)
    queue.merge(word, by: RankedPairs(merges: merges))
    for symbol in queue.symbols where symbol.length > 0 { ids.append(symbol.id) }
  }

  private struct RankedPairs: MergeRule {
    let merges: PairTable

    @inline(__always)
    func merge(_ left: MergeSymbol, _ right: MergeSymbol, in word: UnsafeBufferPointer<UInt8>) -> PairTable.Merge? {
      merges[left.id, right.id]
    }
  }

  private func cut(_ word: UnsafeBufferPointer<UInt8>, into queue: inout MergeQueue) {
    var pending: MergeSymbol?
    var index = 0
    while index < word.count {
      let length = unit == .byte ? 1 : UTF8Scalars.length(startingWith: word[index])
      let id = id(ofUnitAt: index, length: length, in: word)
      if id >= 0 {
        if let unknown = pending.take() { queue.append(unknown) }
        queue.append(MergeSymbol(id: id, start: index, length: length))
      } else if !appendFallback(for: index, length: length, in: word, to: &queue), let unknown = options.unknown {
        if options.fusesUnknown, pending != nil {
          pending?.length += Int32(truncatingIfNeeded: length)
        } else {
          if let unknown = pending.take() { queue.append(unknown) }
          pending = MergeSymbol(id: unknown, start: index, length: length)
        }
      }
      index += length
    }
    if let unknown = pending { queue.append(unknown) }
  }

  /// The token of one unit, or -1.
  @inline(__always)
  private func id(ofUnitAt index: Int, length: Int, in word: UnsafeBufferPointer<UInt8>) -> Int32 {
    if options.continuingPrefix.isEmpty, options.endOfWordSuffix.isEmpty {
      if unit == .byte { return byteIDs[Int(word[index])] }
      return tokens.id(of: UnsafeBufferPointer(rebasing: word[index..<index + length])) ?? -1
    }
    let plain = unit == .byte ? ByteAlphabet.spellings[Int(word[index])] : Array(word[index..<index + length])
    let prefix = index > 0 ? options.continuingPrefix : []
    let suffix = index + length == word.count ? options.endOfWordSuffix : []
    return tokens.id(of: prefix + plain + suffix) ?? -1
  }

  /// The tokens `<0xXX>` of a unit; false where they are not wanted or not all there.
  private func appendFallback(
    for index: Int, length: Int, in word: UnsafeBufferPointer<UInt8>, to queue: inout MergeQueue
  ) -> Bool {
    guard options.fallsBackToBytes else { return false }
    let bytes = unit == .byte ? ByteAlphabet.spellings[Int(word[index])] : Array(word[index..<index + length])
    guard bytes.allSatisfy({ fallbackIDs[Int($0)] >= 0 }) else { return false }
    for (offset, byte) in bytes.enumerated() {
      queue.append(MergeSymbol(id: fallbackIDs[Int(byte)], start: index + offset, length: 1))
    }
    return true
  }
}
