import NN

/// Which modules of a model a method works on, as PEFT's `target_modules` says it.
public enum TargetModules: Sendable, Hashable {
  /// Full paths or their last parts: `q_proj`, `mlp.up_proj`.
  case names([String])
  /// A regular expression that must match the whole path.
  case pattern(String)
  /// Every projection but the one onto the vocabulary.
  case allLinear
}

/// Finds targets by their paths alone, before a model is touched.
public struct TargetResolver: Sendable {
  /// What to find.
  public var targets: TargetModules
  /// What to leave out, in the same terms.
  public var excluded: TargetModules?
  /// The layers to work on; nil for all.
  public var layers: [Int]?
  /// The name of the list of layers where a model has several, such as `layers` or `h`.
  public var layersPattern: String?

  /// What the modules are called in an error.
  public var kind: String

  /// A resolver by its parts.
  public init(
    _ targets: TargetModules, excluded: TargetModules? = nil, layers: [Int]? = nil, layersPattern: String? = nil,
    kind: String = "projection"
  ) {
    self.kind = kind
    self.targets = targets
    self.excluded = excluded
    self.layers = layers
    self.layersPattern = layersPattern
  }

  /// The paths to work on, in the model's order.
  ///
  /// - Parameters:
  ///   - paths: every projection of the model.
  ///   - head: the path of the projection onto the vocabulary, which ``TargetModules/allLinear`` leaves out.
  ///   - strict: refuse a name that matches nothing even if others match something.
  /// - Throws: ``TunerError`` where nothing matches, with the names that come nearest.
  public func resolve(_ paths: [String], head: String = "lm_head", strict: Bool = false) throws -> [String] {
    let wanted = try TargetMatcher(targets, key: "target_modules")
    let unwanted = try excluded.map { try TargetMatcher($0, key: "exclude_modules") }
    if strict, case .names(let names) = targets {
      for name in names where !paths.contains(where: { TargetMatcher.matches($0, name) }) { throw nothing(for: name, paths) }
    }
    let found = paths.filter { path in
      if targets == .allLinear, path == head { return false }
      return wanted.matches(path) && !(unwanted?.matches(path) ?? false) && isInLayers(path)
    }
    guard !found.isEmpty else { throw nothing(for: wanted.description, paths) }
    return found
  }

  private func isInLayers(_ path: String) -> Bool {
    guard let layers else { return true }
    let parts = path.split(separator: ".")
    for (index, part) in parts.enumerated().dropFirst() {
      guard let number = Int(part) else { continue }
      if let layersPattern, parts[index - 1] != layersPattern { continue }
      return layers.contains(number)
    }
    return false
  }

  private func nothing(for target: String, _ paths: [String]) -> TunerError {
    var leaves: [String] = []
    for leaf in paths.map({ String($0.split(separator: ".").last ?? "") }) where !leaves.contains(leaf) { leaves.append(leaf) }
    let restriction = layers.map { " in layers \($0)" } ?? ""
    return TunerError(
      "target_modules: \(target) matches no \(kind)\(restriction) of this model; it has \(leaves.joined(separator: ", ")), "
        + "such as “\(paths.first ?? "")”; or use all-linear")
  }
}

/// An entry such as `target_modules`, ready to be asked.
struct TargetMatcher {
  private let targets: TargetModules
  // Regex is not Sendable; the matcher lives for one call only.
  private let expression: Regex<AnyRegexOutput>?

  init(_ targets: TargetModules, key: String) throws(TunerError) {
    self.targets = targets
    guard case .pattern(let pattern) = targets else {
      expression = nil
      return
    }
    expression = try regularExpression(pattern, key: key)
  }

  func matches(_ path: String) -> Bool {
    switch targets {
    case .allLinear: true
    case .names(let names): names.contains { TargetMatcher.matches(path, $0) }
    case .pattern: expression.map { path.wholeMatch(of: $0) != nil } ?? false
    }
  }

  static func matches(_ path: String, _ name: String) -> Bool { path == name || path.hasSuffix("." + name) }

  var description: String {
    switch targets {
    case .allLinear: "all-linear"
    case .names(let names): names.map { "“\($0)”" }.joined(separator: ", ")
    case .pattern(let pattern): "the expression “\(pattern)”"
    }
  }
}

extension String {
  /// The path of the module that a parameter of this path belongs to.
  var modulePath: String { split(separator: ".").dropLast().joined(separator: ".") }
}

/// `pattern` compiled, or an error that names the key it stands under.
func regularExpression(_ pattern: String, key: String) throws(TunerError) -> Regex<AnyRegexOutput> {
  do {
    return try Regex(pattern)
  } catch {
    throw TunerError("\(key): “\(pattern)” is not a regular expression: \(error)")
  }
}

/// The value of the first key of `patterns` that fits `path`: PEFT's `rank_pattern` and `alpha_pattern`.
///
/// A key fits where `(.*\.)?(KEY)` matches the whole path.
func value<Value>(of patterns: [(key: String, value: Value)], for path: String, key: String) throws(TunerError) -> Value? {
  for (pattern, value) in patterns {
    let expression = try regularExpression(#"(.*\.)?("# + pattern + ")", key: key)
    if path.wholeMatch(of: expression) != nil { return value }
  }
  return nil
}
