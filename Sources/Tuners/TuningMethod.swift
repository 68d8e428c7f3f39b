import NN
import OrderedCollections
import Text

/// Whose files the adapters of a method are kept in.
public enum AdapterFiles: Sendable, Hashable {
  /// A model's: its own weights are tuned.
  case model
  /// PEFT's, with this `peft_type`.
  case peft(String)
  /// AdapterHub's.
  case adapterHub
}

/// A method that tunes a model: settings that know how to be read, how to be written, and how to install themselves.
///
/// A method is one file with its settings and what it puts into a model, and one line in ``Methods``.
public protocol TuningMethod: Sendable {
  /// Its name in a recipe: `lora` …
  static var name: String { get }
  /// Its name in PEFT's files: `LORA` …; nil where PEFT has none.
  static var peftType: String? { get }
  /// Whose files its adapters are kept in.
  static var files: AdapterFiles { get }
  /// The learning rate of a run that names none.
  var learningRate: Double { get }
  /// Its settings, each with its keys, its field and its range.
  static var settings: [Setting<Self>] { get }
  /// The defaults.
  init()
  /// Checks what no single setting says.
  ///
  /// - Throws: ``TunerError`` that names the key.
  func validate() throws(TunerError)
  /// Turns the texts among the settings into tokens, before a new adapter is installed.
  ///
  /// - Parameters:
  ///   - tokenizer: the model's.
  ///   - model: the model's name or path.
  mutating func prepare(tokenizer: any Tokenizer, of model: String)
  /// Takes the rows of tokens that the vocabulary was grown by among what is trained.
  ///
  /// - Parameters:
  ///   - newTokens: the tokens.
  ///   - hasOwnHead: whether the head is a matrix of its own and no token table.
  /// - Throws: ``TunerError`` where the method cannot train rows of tokens.
  mutating func train(newTokens: [Int], hasOwnHead: Bool) throws(TunerError)
  /// Puts a new adapter into `model`, which is frozen.
  ///
  /// - Throws: ``TunerError`` where settings are out of range or no module matches; the model is as before then.
  func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter
  /// Takes the settings out of an `adapter_config.json`. Keys that PEFT adds later are passed over; those that change the result
  /// and are not supported are refused.
  ///
  /// - Throws: ``TunerError`` that names the file and the key.
  mutating func read(adapterConfig: AdapterConfigReader) throws
  /// The keys of `adapter_config.json` that are the method's own; in AdapterHub's, those of its `config`.
  func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON>
  /// What the run's learning rate is multiplied by for the parameter at a path.
  func rateScale(of path: String, learningRate: Double) -> Double
}

extension TuningMethod {
  /// Its name in a recipe.
  public var name: String { Self.name }
  /// Its name in PEFT's files.
  public var peftType: String? { Self.peftType }
  /// PEFT's, or a model's where PEFT has no name for it.
  public static var files: AdapterFiles { peftType.map(AdapterFiles.peft) ?? .model }
  /// Whose files its adapters are kept in.
  public var files: AdapterFiles { Self.files }
  /// 2e-4.
  public var learningRate: Double { 2e-4 }

  /// No texts.
  public mutating func prepare(tokenizer: any Tokenizer, of model: String) {}

  /// Refuses them.
  public mutating func train(newTokens: [Int], hasOwnHead: Bool) throws(TunerError) {
    throw TunerError(
      "“\(name)” cannot train the rows of new tokens, which would stay as they start; lora and trainable_tokens can, and full")
  }

  /// Nothing to check.
  public func validate() throws(TunerError) {}

  /// Reads a recipe's keys.
  ///
  /// - Throws: what `source` throws, and ``TunerError`` where settings do not go together.
  public mutating func read(recipe source: any SettingsSource) throws {
    for setting in Self.settings { try setting.read(recipe: source, into: &self) }
    try validate()
  }

  /// The settings as a recipe gives them, without those that are not set.
  public var recipeSettings: [(key: String, value: JSON)] { Self.settings.compactMap { $0.recipeValue(self) } }

  /// Takes each setting that has a key there.
  public mutating func read(adapterConfig: AdapterConfigReader) throws { try readSettings(adapterConfig) }

  /// Takes each setting that has a key in `adapter_config.json`.
  public mutating func readSettings(_ reader: AdapterConfigReader) throws {
    for setting in Self.settings { try setting.read(adapterConfig: reader, into: &self) }
    try validate()
  }

  /// Each setting that has a key there.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> { savedSettings }

  /// The settings that have a key in `adapter_config.json`, under it.
  public var savedSettings: OrderedDictionary<String, JSON> {
    OrderedDictionary(Self.settings.compactMap { $0.savedValue(self) }, uniquingKeysWith: { first, _ in first })
  }

  /// 1.
  public func rateScale(of path: String, learningRate: Double) -> Double { 1 }
}
