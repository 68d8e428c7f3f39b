import NN
import OrderedCollections
import Text

/// Training of single rows of the token table, and of nothing else: what new tokens need.
///
/// Where the head is the token table, its rows are the same ones.
public struct TrainableTokensConfiguration: TuningMethod, Hashable {
  /// The tokens whose rows are trained; those of the head are the table's, or none.
  public var tokens = TokenIndices()

  /// No tokens yet: a recipe names them.
  public init() {}

  /// `trainable_tokens`.
  public static var name: String { "trainable_tokens" }
  /// `TRAINABLE_TOKENS`.
  public static var peftType: String? { "TRAINABLE_TOKENS" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      Setting("token_indices", read: { $2.tokens = try TokenIndices($0, $1) ?? $2.tokens }, value: { $0.tokens.json })
    ]
  }

  /// Checks that there is something to train.
  public func validate() throws(TunerError) {
    guard tokens.head.isEmpty || Set(tokens.head) == Set(tokens.table) else {
      throw TunerError(
        "token_indices: a file of this method holds the same tokens for table and head; lora's trainable_token_indices takes others"
      )
    }
  }

  /// The rows of new tokens are trained too.
  public mutating func train(newTokens: [Int], hasOwnHead: Bool) { tokens.add(newTokens, hasOwnHead: hasOwnHead) }

  /// Puts copies of the rows into `model`; its output stays as it was.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    try validate()
    guard !tokens.isEmpty else { throw TunerError("token_indices is missing: name the tokens whose rows are trained") }
    return Adapter(name: name, configuration: self, parts: try tokens.parts(in: model, named: name, infix: ""))
  }

  /// Takes the settings out of an `adapter_config.json`.
  public mutating func read(adapterConfig reader: AdapterConfigReader) throws {
    try readSettings(reader)
    guard let targets = try reader.targets("target_modules") else { return }
    let names: [String]
    switch targets {
    case .names(let list): names = list
    case .pattern(let text): names = [text]
    case .allLinear: names = ["all-linear"]
    }
    for name in names {
      switch name.split(separator: ".").last {
      case "embed_tokens", "wte": continue
      case "lm_head": tokens.head = tokens.table
      default:
        throw reader.error("target_modules", "holds “\(name)”, and only rows of the token table and of lm_head can be trained")
      }
    }
  }

  /// The settings as PEFT writes them.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> {
    let path = adapter.parts.compactMap { ($0 as? TokenRowsPart)?.path }.first ?? "embed_tokens"
    var config = savedSettings
    config["token_indices"] = .array(tokens.table.map(JSON.int))
    config["init_weights"] = true
    config["target_modules"] = tokens.head.isEmpty ? .string(path) : [.string(path), .string(TokenIndices.headName)]
    return config
  }
}
