/// The vocabulary that a GGUF file carries under `tokenizer.ggml.`, as plain values.
public struct GGUFVocabulary: Sendable, Hashable {
  /// `tokenizer.ggml.model`: `gpt2` (byte-level merges) or `llama` (SentencePiece pieces with scores).
  public var model: String
  /// `tokenizer.ggml.pre`: the name of the splitting pattern, for `gpt2`.
  public var pre: String?
  /// `tokenizer.ggml.tokens`: the spelling of each id.
  public var tokens: [String]
  /// `tokenizer.ggml.scores`: one for each id, for `llama`.
  public var scores: [Float]
  /// `tokenizer.ggml.token_type`: one ``TokenType`` for each id; empty where all are normal.
  public var types: [Int32]
  /// `tokenizer.ggml.merges`: `"a b"` in order of rank, for `gpt2`.
  public var merges: [String]
  /// `tokenizer.ggml.bos_token_id`.
  public var bosID: Int?
  /// `tokenizer.ggml.eos_token_id`.
  public var eosID: Int?
  /// `tokenizer.ggml.padding_token_id`.
  public var padID: Int?
  /// `tokenizer.ggml.unknown_token_id`.
  public var unkID: Int?
  /// `tokenizer.ggml.add_bos_token`; nil for what is usual with the model.
  public var addBOS: Bool?
  /// `tokenizer.ggml.add_eos_token`; nil for what is usual with the model.
  public var addEOS: Bool?
  /// `tokenizer.ggml.add_space_prefix`; nil for what is usual with the model.
  public var addSpacePrefix: Bool?

  /// A vocabulary from the values of the keys.
  public init(
    model: String, pre: String? = nil, tokens: [String], scores: [Float] = [], types: [Int32] = [], merges: [String] = [],
    bosID: Int? = nil, eosID: Int? = nil, padID: Int? = nil, unkID: Int? = nil, addBOS: Bool? = nil, addEOS: Bool? = nil,
    addSpacePrefix: Bool? = nil
  ) {
    self.model = model
    self.pre = pre
    self.tokens = tokens
    self.scores = scores
    self.types = types
    self.merges = merges
    self.bosID = bosID
    self.eosID = eosID
    self.padID = padID
    self.unkID = unkID
    self.addBOS = addBOS
    self.addEOS = addEOS
    self.addSpacePrefix = addSpacePrefix
  }

  /// What a token of a GGUF vocabulary is.
  public enum TokenType: Int32, Sendable {
    case normal = 1
    case unknown = 2
    case control = 3
    case userDefined = 4
    case unused = 5
    case byte = 6
  }

  /// The type of an id of the vocabulary; normal where none is given.
  func type(of id: Int) -> TokenType { types.isEmpty ? .normal : TokenType(rawValue: types[id]) ?? .normal }
}
