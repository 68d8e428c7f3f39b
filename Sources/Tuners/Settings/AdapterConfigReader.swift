import OrderedCollections
import Text

/// Reads an `adapter_config.json` key by key, with errors that name file and key.
public struct AdapterConfigReader: SettingsSource {
  let json: JSON
  let path: String

  /// The error that `key` is `problem`.
  public func error(_ key: String, _ problem: String) -> TunerError { TunerError("\(path): “\(key)” \(problem)") }

  /// What stands under a key, unless it is null.
  public func value(_ key: String) -> JSON? { json[key].flatMap { $0.isNull ? nil : $0 } }

  private func read<Value>(_ key: String, _ kind: String, _ convert: (JSON) -> Value?) throws(TunerError) -> Value? {
    guard let json = value(key) else { return nil }
    guard let value = convert(json) else { throw error(key, "must be \(kind), not \(json.text())") }
    return value
  }

  /// A whole number in `range`.
  public func int(_ key: String, in range: ClosedRange<Int>) throws(TunerError) -> Int? {
    try read(key, "a whole number from \(range.lowerBound) to \(range.upperBound)") { json in
      json.int.flatMap { range.contains($0) ? $0 : nil }
    }
  }

  /// A number in `range`.
  public func double(_ key: String, in range: ClosedRange<Double>) throws(TunerError) -> Double? {
    try read(key, "a number from \(range.lowerBound) to \(range.upperBound)") { json in
      json.double.flatMap { range.contains($0) ? $0 : nil }
    }
  }

  /// A truth value.
  public func bool(_ key: String) throws(TunerError) -> Bool? { try read(key, "true or false") { $0.bool } }

  /// A text.
  public func string(_ key: String) throws(TunerError) -> String? { try read(key, "text") { $0.string } }

  /// A list of texts, or one text.
  public func strings(_ key: String) throws(TunerError) -> [String]? {
    try read(key, "a list of names") { json in
      if let one = json.string { return [one] }
      guard let list = json.array else { return nil }
      let names = list.compactMap(\.string)
      return names.count == list.count ? names : nil
    }
  }

  /// A list of whole numbers, or one.
  public func ints(_ key: String) throws(TunerError) -> [Int]? { try read(key, "a list of whole numbers", Self.ints) }

  /// Such lists by name; one without a name is under the empty one.
  public func intLists(_ key: String) throws(TunerError) -> OrderedDictionary<String, [Int]>? {
    try read(key, "a list of whole numbers, or such lists by name") { json in
      guard let members = json.object else { return Self.ints(json).map { ["": $0] } }
      let lists = members.compactMapValues(Self.ints)
      return lists.count == members.count ? lists : nil
    }
  }

  private static func ints(_ json: JSON) -> [Int]? {
    if let one = json.int { return [one] }
    guard let list = json.array else { return nil }
    let numbers = list.compactMap(\.int)
    return numbers.count == list.count ? numbers : nil
  }

  /// A table of numbers.
  public func numbers(_ key: String) throws(TunerError) -> OrderedDictionary<String, Double>? {
    try read(key, "a table of numbers") { json in
      guard let members = json.object else { return nil }
      let numbers = members.compactMapValues(\.double)
      return numbers.count == members.count ? numbers : nil
    }
  }

  /// A list of names; a text is an expression, or `all-linear`.
  public func targets(_ key: String) throws(TunerError) -> TargetModules? {
    guard let json = value(key) else { return nil }
    if let text = json.string { return text == "all-linear" ? .allLinear : .pattern(text) }
    return try strings(key).map(TargetModules.names)
  }

  /// One of the names of `choices`.
  public func choice<Value>(_ key: String, _ choices: [(name: String, value: Value)]) throws(TunerError) -> Value? {
    guard let text = try string(key) else { return nil }
    if let choice = choices.first(where: { $0.name == text }) { return choice.value }
    throw error(key, "is “\(text)”; known are \(choices.map(\.name).joined(separator: ", "))")
  }

  /// Refuses settings that are on and not supported.
  func refuse(_ keys: [String]) throws(TunerError) {
    for key in keys {
      guard let json = value(key), json != false, json.array?.isEmpty != true, json.object?.isEmpty != true else { continue }
      throw error(key, "is \(json.text()), which Attune cannot apply; its result would be wrong without it")
    }
  }
}
