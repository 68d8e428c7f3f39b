import Text

/// Byte-level BPE in its shortest form: ids 0 to 255 are bytes, then one id a merge, then the special tokens.
struct ByteTokenizer: Tokenizer {
  private let pieces: [[UInt8]]
  private let merges: [[Int32]: Int32]
  private let specials: [String]
  private let addsBOS: Bool
  let special: SpecialTokens

  /// - Parameter merges: pairs as Hugging Face writes them, `th e`; `Ġ` is a space.
  init(
    merges: [String] = [], specials: [String] = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"], addsBOS: Bool = false,
    special: SpecialTokens = SpecialTokens(bos: "<s>", eos: "</s>")
  ) {
    var pieces = (0...255).map { [UInt8($0)] }
    var ids = Dictionary(uniqueKeysWithValues: pieces.enumerated().map { ($1, Int32($0)) })
    var table: [[Int32]: Int32] = [:]
    for merge in merges {
      let spelt = ByteTokenizer.halves(merge)
      guard let left = ids[spelt.0], let right = ids[spelt.1] else { continue }
      table[[left, right]] = Int32(pieces.count)
      ids[spelt.0 + spelt.1] = Int32(pieces.count)
      pieces.append(spelt.0 + spelt.1)
    }
    self.pieces = pieces
    self.merges = table
    self.specials = specials
    self.addsBOS = addsBOS
    self.special = special
  }

  private static func halves(_ merge: String) -> ([UInt8], [UInt8]) {
    let halves = merge.split(separator: " ").map { Array($0.replacing("Ġ", with: " ").utf8) }
    return (halves[0], halves[1])
  }

  var vocabularySize: Int { pieces.count + specials.count }

  func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
    var ids: [Int32] = addsBOS && addSpecialTokens ? [id(of: "<s>") ?? 0] : []
    var run: [Int32] = []
    var rest = text.utf8[...]
    while let byte = rest.first {
      if let found = specials.first(where: { rest.starts(with: $0.utf8) }), let id = id(of: found) {
        ids += merged(run) + [id]
        run = []
        rest = rest.dropFirst(found.utf8.count)
      } else {
        run.append(Int32(byte))
        rest = rest.dropFirst()
      }
    }
    return ids + merged(run)
  }

  private func merged(_ run: [Int32]) -> [Int32] {
    var run = run
    while true {
      let candidates = run.indices.dropLast().compactMap { index in merges[[run[index], run[index + 1]]].map { ($0, index) } }
      guard let best = candidates.min(by: { $0 < $1 }) else { return run }
      run.replaceSubrange(best.1...best.1 + 1, with: [best.0])
    }
  }

  func decode(_ ids: some Sequence<Int32>, skipSpecialTokens: Bool) -> String {
    String(decoding: ids.filter { !(skipSpecialTokens && isSpecial($0)) }.flatMap { bytes(of: $0) }, as: UTF8.self)
  }

  func id(of token: String) -> Int32? {
    if let index = specials.firstIndex(of: token) { return Int32(pieces.count + index) }
    return pieces.firstIndex(of: Array(token.utf8)).map { Int32($0) }
  }

  func token(of id: Int32) -> String? {
    isSpecial(id) ? specials[Int(id) - pieces.count] : String(decoding: bytes(of: id), as: UTF8.self)
  }

  func bytes(of id: Int32) -> [UInt8] { isSpecial(id) ? Array(specials[Int(id) - pieces.count].utf8) : pieces[Int(id)] }

  func isSpecial(_ id: Int32) -> Bool { Int(id) >= pieces.count }
}

/// A tokenizer that changes what it is given in the ways real ones do.
struct RewritingTokenizer: Tokenizer {
  enum Habit { case lowercases, prefixesSpace, swallowsSpaceAfterSpecial }

  let base: ByteTokenizer
  let habit: Habit

  func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
    let changed =
      switch habit {
      case .lowercases: text.lowercased()
      case .prefixesSpace: " " + text
      case .swallowsSpaceAfterSpecial: text.replacing("<|im_end|>\n", with: "<|im_end|>")
      }
    return base.encode(changed, addSpecialTokens: addSpecialTokens)
  }

  var vocabularySize: Int { base.vocabularySize }
  var special: SpecialTokens { base.special }
  func decode(_ ids: some Sequence<Int32>, skipSpecialTokens: Bool) -> String {
    base.decode(ids, skipSpecialTokens: skipSpecialTokens)
  }
  func id(of token: String) -> Int32? { base.id(of: token) }
  func token(of id: Int32) -> String? { base.token(of: id) }
  func bytes(of id: Int32) -> [UInt8] { base.bytes(of: id) }
  func isSpecial(_ id: Int32) -> Bool { base.isSpecial(id) }
}
