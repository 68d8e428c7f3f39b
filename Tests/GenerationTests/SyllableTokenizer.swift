import Text

/// A tokenizer whose ids stand for given bytes, one after the other; id 0 pads, 1 begins and 2 ends a text.
///
/// Without a table of its own, the ids from 3 up stand for a consonant, a vowel and now and then a space, so that stop texts
/// cross the borders of tokens.
struct SyllableTokenizer: Tokenizer {
  private let pieces: [[UInt8]]

  init(_ pieces: [[UInt8]]) { self.pieces = [Array("<pad>".utf8), Array("<s>".utf8), Array("</s>".utf8)] + pieces }

  init(count: Int = 93) {
    let consonants = Array("bcdfghjklmnp".utf8)
    let vowels = Array("aeiou".utf8)
    let syllables = (0..<count).map { id -> [UInt8] in
      let syllable = [consonants[id % 12], vowels[id / 12 % 5]]
      return id % 7 == 0 ? syllable + [0x20] : syllable
    }
    self.init(syllables)
  }

  var vocabularySize: Int { pieces.count }
  var special: SpecialTokens { SpecialTokens(bos: "<s>", eos: "</s>", pad: "<pad>") }

  func bytes(of id: Int32) -> [UInt8] { pieces.indices.contains(Int(id)) ? pieces[Int(id)] : [] }
  func token(of id: Int32) -> String? {
    pieces.indices.contains(Int(id)) ? String(decoding: pieces[Int(id)], as: UTF8.self) : nil
  }
  func id(of token: String) -> Int32? { pieces.firstIndex(of: Array(token.utf8)).map(Int32.init) }
  func isSpecial(_ id: Int32) -> Bool { (0...2).contains(id) }

  func decode(_ ids: some Sequence<Int32>, skipSpecialTokens: Bool) -> String {
    String(decoding: ids.flatMap { skipSpecialTokens && isSpecial($0) ? [] : bytes(of: $0) }, as: UTF8.self)
  }

  /// The longest piece at each place.
  func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
    var rest = Array(text.utf8)[...]
    var ids: [Int32] = []
    while !rest.isEmpty {
      let fits = pieces.indices.filter { rest.starts(with: pieces[$0]) }
      guard let best = fits.max(by: { pieces[$0].count < pieces[$1].count }) else { return ids }
      ids.append(Int32(best))
      rest = rest.dropFirst(pieces[best].count)
    }
    return ids
  }
}
