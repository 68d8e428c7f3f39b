/// Turns text into token ids and back, exactly as the model's own tokenizer does.
public protocol Tokenizer: Sendable {
  /// Ids run from 0 to one less than this.
  var vocabularySize: Int { get }

  /// The ids of `text`. Special tokens written out in the text are recognised, as Hugging Face `tokenizers` does.
  ///
  /// - Parameters:
  ///   - text: what is encoded.
  ///   - addSpecialTokens: also what the model's post-processor puts around a text (BOS, EOS).
  func encode(_ text: String, addSpecialTokens: Bool) -> [Int32]

  /// The ids of `text`, without the special tokens that surround a text, and the UTF-8 offset at which each of them begins.
  ///
  /// The offsets are found by laying the bytes of the tokens along the text, which proves them; there is an implementation for every
  /// tokenizer that does so.
  ///
  /// - Throws: ``OffsetMismatch`` where pieces and text disagree.
  func encodeWithOffsets(_ text: String) throws(OffsetMismatch) -> (ids: [Int32], offsets: [Int])

  /// The text of `ids`. Ids outside the vocabulary and bytes that are not UTF-8 become U+FFFD.
  func decode(_ ids: some Sequence<Int32>, skipSpecialTokens: Bool) -> String

  /// The id of a token as it is spelt in the vocabulary, added tokens included.
  func id(of token: String) -> Int32?

  /// The spelling of an id in the vocabulary.
  func token(of id: Int32) -> String?

  /// The raw bytes an id stands for in running text (a byte-level piece may be half a character).
  func bytes(of id: Int32) -> [UInt8]

  /// True for a token that `skipSpecialTokens` leaves out.
  func isSpecial(_ id: Int32) -> Bool

  /// A decoder that takes ids one by one and gives the same text as `decode`.
  func streamingDecoder(skipSpecialTokens: Bool) -> StreamingDecoder

  /// Begin-of-text, end-of-text, padding and unknown tokens as the model's files name them.
  var special: SpecialTokens { get }
}

/// The special tokens a model's files name, as spelt in its vocabulary.
public struct SpecialTokens: Sendable, Hashable {
  /// Begin of text.
  public var bos: String?
  /// End of text.
  public var eos: String?
  /// Padding.
  public var pad: String?
  /// Unknown.
  public var unk: String?

  /// The tokens by name.
  public init(bos: String? = nil, eos: String? = nil, pad: String? = nil, unk: String? = nil) {
    self.bos = bos
    self.eos = eos
    self.pad = pad
    self.unk = unk
  }
}
