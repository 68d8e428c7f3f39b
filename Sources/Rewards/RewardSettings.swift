import OrderedCollections
import Text

/// Why a reward cannot be made of its settings.
public struct RewardError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The key concerned.
  public let key: String
  /// What is wrong with it, and what to do.
  public let problem: String

  /// An error that `key` is `problem`.
  public init(_ key: String, _ problem: String) { (self.key, self.problem) = (key, problem) }

  /// What is said to people.
  public var description: String { "“\(key)” \(problem)" }
}

/// The settings of a reward, read key by key. Whatever was never asked for is an unknown key.
///
/// Each function gives nil where the key is missing or null, and throws where its value is of another kind or out of range.
public final class RewardSettings {
  private let members: OrderedDictionary<String, JSON>
  private var known: OrderedSet<String> = []

  /// Settings as JSON.
  public init(_ members: OrderedDictionary<String, JSON>) { self.members = members }

  /// Any value.
  public func json(_ key: String) -> JSON? {
    known.append(key)
    guard let value = members[key], !value.isNull else { return nil }
    return value
  }

  private func value<Value>(_ key: String, _ kind: String, _ convert: (JSON) -> Value?) throws(RewardError) -> Value? {
    guard let json = json(key) else { return nil }
    guard let value = convert(json) else { throw RewardError(key, "must be \(kind), not \(json.text())") }
    return value
  }

  /// A text.
  public func string(_ key: String) throws(RewardError) -> String? { try value(key, "text", \.string) }

  /// A truth value.
  public func bool(_ key: String) throws(RewardError) -> Bool? { try value(key, "true or false", \.bool) }

  /// A whole number in `range`.
  public func int(_ key: String, in range: ClosedRange<Int>) throws(RewardError) -> Int? {
    try value(key, "a whole number from \(range.lowerBound) to \(range.upperBound)") { json in
      json.int.flatMap { range.contains($0) ? $0 : nil }
    }
  }

  /// A number in `range`.
  public func double(_ key: String, in range: ClosedRange<Double>) throws(RewardError) -> Double? {
    try value(key, "a number from \(range.lowerBound) to \(range.upperBound)") { json in
      json.double.flatMap { range.contains($0) ? $0 : nil }
    }
  }

  /// A list of texts, or one text.
  public func strings(_ key: String) throws(RewardError) -> [String]? {
    try value(key, "text or a list of texts") { json in
      if let text = json.string { return [text] }
      guard let list = json.array else { return nil }
      let texts = list.compactMap(\.string)
      return texts.count == list.count ? texts : nil
    }
  }

  /// One of the cases of a type that is named by texts.
  public func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: String, _ type: Choice.Type
  ) throws(RewardError) -> Choice? {
    try value(key, "one of \(type.allCases.map(\.rawValue).joined(separator: ", "))") { $0.string.flatMap(Choice.init) }
  }

  /// Refuses every key that nothing asked for.
  ///
  /// - Throws: ``RewardError`` that lists the known ones.
  public func finish() throws(RewardError) {
    guard let unknown = members.keys.first(where: { !known.contains($0) }) else { return }
    throw RewardError(
      unknown, "is no key of this reward; " + (known.isEmpty ? "it has none" : "known are \(known.joined(separator: ", "))"))
  }
}
