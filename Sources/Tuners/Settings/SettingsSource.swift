import OrderedCollections

/// Where the settings of a method are read from, key by key: `method:` of a recipe, or an `adapter_config.json`.
///
/// Each function gives nil where the key is missing or null, and throws where its value is of another kind or out of range.
public protocol SettingsSource {
  /// What it throws.
  associatedtype Failure: Error
  /// A whole number in `range`.
  func int(_ key: String, in range: ClosedRange<Int>) throws -> Int?
  /// A number in `range`.
  func double(_ key: String, in range: ClosedRange<Double>) throws -> Double?
  /// A truth value.
  func bool(_ key: String) throws -> Bool?
  /// A text.
  func string(_ key: String) throws -> String?
  /// A list of texts, or one text.
  func strings(_ key: String) throws -> [String]?
  /// A list of whole numbers, or one.
  func ints(_ key: String) throws -> [Int]?
  /// Lists of whole numbers by name; one without a name is under the empty one.
  func intLists(_ key: String) throws -> OrderedDictionary<String, [Int]>?
  /// A table of numbers.
  func numbers(_ key: String) throws -> OrderedDictionary<String, Double>?
  /// Modules.
  func targets(_ key: String) throws -> TargetModules?
  /// One of the names of `choices`.
  func choice<Value>(_ key: String, _ choices: [(name: String, value: Value)]) throws -> Value?
  /// The error that `key` is `problem`, saying where.
  func error(_ key: String, _ problem: String) -> Failure
}
