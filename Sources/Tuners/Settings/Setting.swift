import OrderedCollections
import Text

/// One setting of a method: its key in a recipe, its key in PEFT's `adapter_config.json`, and how its value is read and written.
public struct Setting<Method> {
  private let key: String
  private var recipeKey: String? { isOnlyInFile ? nil : key }
  private var fileKey: String?
  private var isOnlyInFile = false
  private let read: (any SettingsSource, String, inout Method) throws -> Void
  private let value: (Method) -> JSON

  /// A setting of a kind of its own.
  ///
  /// - Parameters:
  ///   - key: its key in a recipe.
  ///   - peft: its key in `adapter_config.json` where it is another.
  ///   - read: sets it from a source in which it has the given key.
  ///   - value: its value; null where it is not set.
  public init(
    _ key: String, peft: String? = nil, read: @escaping (any SettingsSource, String, inout Method) throws -> Void,
    value: @escaping (Method) -> JSON
  ) {
    (self.key, fileKey, self.read, self.value) = (key, peft ?? key, read, value)
  }

  private init<Value>(
    _ key: String, _ peft: String?, _ field: WritableKeyPath<Method, Value>,
    read: @escaping (any SettingsSource, String) throws -> Value?, value: @escaping (Value) -> JSON
  ) {
    self.init(
      key, peft: peft,
      read: { source, key, method in if let value = try read(source, key) { method[keyPath: field] = value } },
      value: { value($0[keyPath: field]) })
  }

  /// This setting, which PEFT's file has no key for.
  public var onlyInRecipe: Setting {
    var setting = self
    setting.fileKey = nil
    return setting
  }

  /// This setting, which a recipe has no key for.
  public var onlyInFile: Setting {
    var setting = self
    setting.isOnlyInFile = true
    return setting
  }

  /// Takes it from a recipe, where that has its key.
  ///
  /// - Parameters:
  ///   - source: the recipe's part.
  ///   - method: what it is a setting of.
  public func read(recipe source: any SettingsSource, into method: inout Method) throws {
    if let recipeKey { try read(source, recipeKey, &method) }
  }

  func read(adapterConfig source: any SettingsSource, into method: inout Method) throws {
    if let fileKey { try read(source, fileKey, &method) }
  }

  /// Its key and value in a recipe; nil where it is not set or a recipe has no key for it.
  public func recipeValue(_ method: Method) -> (key: String, value: JSON)? {
    guard let recipeKey else { return nil }
    let value = value(method)
    return value.isNull || value.object?.isEmpty == true ? nil : (recipeKey, value)
  }

  func savedValue(_ method: Method) -> (String, JSON)? { fileKey.map { ($0, value(method)) } }
}

extension Setting {
  /// A whole number.
  public static func int(
    _ key: String, _ field: WritableKeyPath<Method, Int>, in range: ClosedRange<Int>, peft: String? = nil
  ) -> Setting {
    Setting(key, peft, field, read: { try $0.int($1, in: range) }, value: JSON.int)
  }

  /// A whole number, or nothing.
  public static func int(
    _ key: String, _ field: WritableKeyPath<Method, Int?>, in range: ClosedRange<Int>, peft: String? = nil
  ) -> Setting {
    Setting(key, peft, field, read: { try $0.int($1, in: range).map(Optional.some) }, value: { $0.map(JSON.int) ?? .null })
  }

  /// A number.
  public static func double(
    _ key: String, _ field: WritableKeyPath<Method, Double>, in range: ClosedRange<Double>, peft: String? = nil
  ) -> Setting {
    Setting(key, peft, field, read: { try $0.double($1, in: range) }, value: JSON.number)
  }

  /// A number, or nothing.
  public static func double(
    _ key: String, _ field: WritableKeyPath<Method, Double?>, in range: ClosedRange<Double>, peft: String? = nil
  ) -> Setting {
    Setting(
      key, peft, field, read: { try $0.double($1, in: range).map(Optional.some) }, value: { $0.map(JSON.number) ?? .null })
  }

  /// A truth value.
  public static func bool(_ key: String, _ field: WritableKeyPath<Method, Bool>, peft: String? = nil) -> Setting {
    Setting(key, peft, field, read: { try $0.bool($1) }, value: JSON.bool)
  }

  /// A text, or nothing.
  public static func string(_ key: String, _ field: WritableKeyPath<Method, String?>, peft: String? = nil) -> Setting {
    Setting(key, peft, field, read: { try $0.string($1).map(Optional.some) }, value: { $0.map(JSON.string) ?? .null })
  }

  /// A list of texts; null where it is empty.
  public static func strings(_ key: String, _ field: WritableKeyPath<Method, [String]>, peft: String? = nil) -> Setting {
    Setting(
      key, peft, field, read: { try $0.strings($1) }, value: { $0.isEmpty ? .null : .array($0.map(JSON.string)) })
  }

  /// A list of whole numbers, or nothing.
  public static func ints(_ key: String, _ field: WritableKeyPath<Method, [Int]?>, peft: String? = nil) -> Setting {
    Setting(
      key, peft, field, read: { try $0.ints($1).map(Optional.some) }, value: { $0.map { .array($0.map(JSON.int)) } ?? .null })
  }

  /// A name out of a fixed set.
  public static func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: String, _ field: WritableKeyPath<Method, Choice>, peft: String? = nil
  ) -> Setting {
    let choices = Choice.allCases.map { ($0.rawValue, $0) }
    return Setting(key, peft, field, read: { try $0.choice($1, choices) }, value: { .string($0.rawValue) })
  }

  /// Numbers by pattern of path.
  public static func numbers(
    _ key: String, _ field: WritableKeyPath<Method, OrderedDictionary<String, Double>>, peft: String? = nil
  ) -> Setting {
    Setting(key, peft, field, read: { try $0.numbers($1) }, value: { .object($0.mapValues(JSON.number)) })
  }

  /// Whole numbers from 1 by pattern of path.
  public static func counts(
    _ key: String, _ field: WritableKeyPath<Method, OrderedDictionary<String, Int>>, peft: String? = nil
  ) -> Setting {
    Setting(
      key, peft, field,
      read: { source, key in
        guard let numbers = try source.numbers(key) else { return nil }
        return try numbers.mapValues { number in
          guard let count = Int(exactly: number), count > 0 else {
            throw source.error(key, "must give whole numbers from 1, not \(JSON.number(number).text())")
          }
          return count
        }
      }, value: { .object($0.mapValues(JSON.int)) })
  }

  /// Modules.
  public static func targets(_ key: String, _ field: WritableKeyPath<Method, TargetModules>, peft: String? = nil) -> Setting {
    Setting(key, peft, field, read: { try $0.targets($1) }, value: \.json)
  }

  /// Modules, or none.
  public static func targets(_ key: String, _ field: WritableKeyPath<Method, TargetModules?>, peft: String? = nil) -> Setting {
    Setting(key, peft, field, read: { try $0.targets($1).map(Optional.some) }, value: { $0?.json ?? .null })
  }
}

extension JSON {
  /// A number, as a whole one where it is.
  static func number(_ value: Double) -> JSON { Int(exactly: value).map(JSON.int) ?? .double(value) }
}

extension TargetModules {
  /// As PEFT writes it, and a recipe.
  var json: JSON {
    switch self {
    case .names(let names): .array(names.map(JSON.string))
    case .pattern(let pattern): .string(pattern)
    case .allLinear: "all-linear"
    }
  }
}
