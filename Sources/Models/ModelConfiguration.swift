import NN
import Text

/// Reads a model's config.json key by key, with errors that name the key.
public struct ModelConfiguration: Sendable {
  /// The whole object.
  public let json: JSON
  /// The file, for errors.
  public let path: String

  /// The content of `path`.
  public init(_ json: JSON, path: String) {
    self.json = json
    self.path = path
  }

  /// The error that `key` is `problem`.
  public func error(_ key: String, _ problem: String) -> ModelError { ModelError("\(path): “\(key)” \(problem)") }

  private func value(_ keys: [String]) -> (key: String, value: JSON)? {
    for key in keys {
      if let value = json[key], !value.isNull { return (key, value) }
    }
    return nil
  }

  /// A whole number from 1 to `limit`, under the first of `keys` that is there.
  ///
  /// - Throws: ``ModelError`` where it is missing without a `fallback`, or is no such number.
  public func size(_ keys: String..., fallback: Int? = nil, limit: Int = 1 << 24) throws(ModelError) -> Int {
    guard let (key, value) = value(keys) else {
      if let fallback { return fallback }
      throw error(keys[0], "is missing")
    }
    guard let number = value.int, (1...limit).contains(number) else {
      throw error(key, "must be a whole number from 1 to \(limit), not \(value.text())")
    }
    return number
  }

  /// A whole number from 1, or nil where it is null or missing.
  public func optionalSize(_ key: String) throws(ModelError) -> Int? {
    guard let value = json[key], !value.isNull else { return nil }
    guard let number = value.int, number > 0 else { throw error(key, "must be a whole number from 1, not \(value.text())") }
    return number
  }

  /// A number in `range`.
  public func number(
    _ key: String, fallback: Double? = nil, in range: ClosedRange<Double> = 0...Double.greatestFiniteMagnitude
  ) throws(ModelError) -> Double {
    guard let value = json[key], !value.isNull else {
      if let fallback { return fallback }
      throw error(key, "is missing")
    }
    guard let number = value.double, range.contains(number) else {
      throw error(key, "must be a number from \(range.lowerBound) to \(range.upperBound), not \(value.text())")
    }
    return number
  }

  /// A truth value.
  public func flag(_ key: String, fallback: Bool) throws(ModelError) -> Bool {
    guard let value = json[key], !value.isNull else { return fallback }
    guard let flag = value.bool else { throw error(key, "must be true or false, not \(value.text())") }
    return flag
  }

  /// A word.
  public func word(_ key: String, fallback: String) throws(ModelError) -> String {
    guard let value = json[key], !value.isNull else { return fallback }
    guard let word = value.string else { throw error(key, "must be text, not \(value.text())") }
    return word
  }

  /// The activation function that `key` names.
  public func activation(_ key: String, fallback: Activation) throws(ModelError) -> Activation {
    let name = try word(key, fallback: fallback.rawValue)
    guard let activation = Activation(rawValue: name) else {
      throw error(key, "names “\(name)”; known are \(Activation.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return activation
  }
}
