import Foundation
import OrderedCollections
import Text
import Tuners
import Yams

/// A recipe's YAML, read key by key. Whatever was never asked for is an unknown key.
final class RecipeNode: SettingsSource {
  private let mapping: Node.Mapping
  private let path: String
  private let source: Source
  private var known: [String] = []

  /// Where values come from.
  private struct Source {
    let file: String
    let overrides: [String]
  }

  private init(_ mapping: Node.Mapping, path: String, source: Source) {
    (self.mapping, self.path, self.source) = (mapping, path, source)
  }

  /// The most bytes a recipe may have.
  private static let byteLimit = 1 << 20

  /// Reads the text of `file`.
  ///
  /// - Parameter overrides: `key.path=value` pairs that replace what stands there.
  /// - Throws: ``RecipeError`` with the line.
  convenience init(_ text: String, file: String, overrides: [String]) throws(RecipeError) {
    guard text.utf8.count <= Self.byteLimit else {
      throw RecipeError("\(file) has more than \(Self.byteLimit) bytes: is it a recipe?")
    }
    var root: Node
    do {
      root = try Yams.compose(yaml: text) ?? .mapping([:])
    } catch let YamlError.duplicatedKeysInMapping(keys, context) {
      let names = keys.map { "“\($0)”" }.joined(separator: ", ")
      throw RecipeError("\(file):\(context.mark.line): \(names) is given twice; keep one")
    } catch {
      throw RecipeError("\(file) is not YAML: \(error)".trimmingCharacters(in: .whitespacesAndNewlines))
    }
    guard root.mapping != nil else { throw RecipeError("\(file) must be a list of keys, such as “model: NAME”") }
    for override in overrides { try Self.apply(override, to: &root) }
    self.init(root.mapping ?? [:], path: "", source: Source(file: file, overrides: overrides))
  }

  /// Puts `value` at `key.path`; the value is read as YAML.
  private static func apply(_ override: String, to root: inout Node) throws(RecipeError) {
    guard let equals = override.firstIndex(of: "=") else {
      throw RecipeError("--set \(override): write key.path=value, such as train.learning_rate=1e-4")
    }
    let keys = override[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    let text = String(override[override.index(after: equals)...])
    guard keys.allSatisfy({ !$0.isEmpty }) else { throw RecipeError("--set \(override): a part of the key is empty") }
    let value: Node
    do {
      value = try Yams.compose(yaml: text) ?? Node("")
    } catch {
      throw RecipeError("--set \(override): the value is not YAML: \(error)")
    }
    do throws(NotAnObject) { root = try replacing(keys[...], in: root, with: value) } catch {
      let whole = keys.prefix(keys.count - error.depth).joined(separator: ".")
      throw RecipeError("--set \(override): “\(whole)” holds no keys of its own; set it as a whole: --set '\(whole)={…}'")
    }
  }

  /// A key on the way to a value holds something other than keys; `depth` parts of the path lie below it.
  private struct NotAnObject: Error { let depth: Int }

  private static func replacing(
    _ keys: ArraySlice<String>, in node: Node, with value: Node
  ) throws(NotAnObject) -> Node {
    guard let key = keys.first else { return value }
    guard node.mapping != nil || isNull(node) else { throw NotAnObject(depth: keys.count) }
    var mapping = node.mapping ?? Node.Mapping([])
    mapping[Node(key)] = try replacing(keys.dropFirst(), in: mapping[Node(key)] ?? .mapping([:]), with: value)
    return .mapping(mapping)
  }

  // MARK: Values

  private func name(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  /// The error that `key` is `problem`.
  func error(_ key: String, _ problem: String) -> RecipeError {
    RecipeError("\(place(key, mapping[Node(key)]?.mark)): “\(name(key))” \(problem)")
  }

  /// The file and line of `key`, or the `--set` that gave it.
  private func place(_ key: String, _ mark: Mark?) -> String {
    let name = name(key)
    let override = source.overrides.last { override in
      guard let path = override.split(separator: "=").first else { return false }
      return name == path || name.hasPrefix(path + ".") || name.hasPrefix(path + "[")
    }
    return override.map { "--set \($0)" } ?? source.file + (mark.map { ":\($0.line)" } ?? "")
  }

  private static func isNull(_ node: Node) -> Bool {
    guard let scalar = node.scalar, scalar.style == .any || scalar.style == .plain else { return false }
    return ["", "~", "null"].contains(scalar.string)
  }

  private func node(_ key: String) -> Node? {
    known.append(key)
    guard let node = mapping[Node(key)], !Self.isNull(node) else { return nil }
    return node
  }

  private func scalar<Value>(_ key: String, _ kind: String, _ convert: (String) -> Value?) throws(RecipeError) -> Value? {
    guard let node = node(key) else { return nil }
    guard let text = node.scalar?.string else { throw error(key, "must be \(kind)") }
    guard let value = convert(text) else { throw error(key, "must be \(kind), not “\(text)”") }
    return value
  }

  /// A text.
  func string(_ key: String) throws(RecipeError) -> String? { try scalar(key, "text") { $0 } }

  /// A whole number in `range`.
  func int(_ key: String, in range: ClosedRange<Int>) throws(RecipeError) -> Int? {
    try scalar(key, "a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
      Int(text.replacing("_", with: "")).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  /// A number in `range`.
  func double(_ key: String, in range: ClosedRange<Double>) throws(RecipeError) -> Double? {
    try scalar(key, "a number from \(range.lowerBound) to \(range.upperBound)") { text in
      Double(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  /// A truth value.
  func bool(_ key: String) throws(RecipeError) -> Bool? {
    try scalar(key, "true or false") {
      ["true": true, "yes": true, "on": true, "false": false, "no": false, "off": false][$0.lowercased()]
    }
  }

  /// One of the names of `choices`.
  func choice<Value>(_ key: String, _ choices: [(name: String, value: Value)]) throws(RecipeError) -> Value? {
    guard let text = try string(key) else { return nil }
    if let choice = choices.first(where: { $0.name == text }) { return choice.value }
    let hint = nearestName(to: text, among: choices.map(\.name)).map { "; did you mean “\($0)”?" } ?? ""
    throw error(key, "is “\(text)”; known are \(choices.map(\.name).joined(separator: ", "))\(hint)")
  }

  /// A list of texts, or one text.
  func strings(_ key: String) throws(RecipeError) -> [String]? {
    guard let node = node(key) else { return nil }
    if let text = node.scalar?.string { return [text] }
    guard let list = node.sequence else { throw error(key, "must be a list of names") }
    let texts = list.compactMap { $0.scalar?.string }
    guard texts.count == list.count else { throw error(key, "must be a list of names") }
    return texts
  }

  /// True where `key` holds a list.
  func isList(_ key: String) -> Bool { mapping[Node(key)]?.sequence != nil }

  /// True where `key` is there and says something other than null or false.
  func has(_ key: String) -> Bool {
    guard let node = mapping[Node(key)] else { return false }
    return !["", "~", "null", "false", "no", "off"].contains(node.scalar?.string.lowercased() ?? "set")
  }

  /// A list of whole numbers, or one.
  func ints(_ key: String) throws(RecipeError) -> [Int]? {
    guard let texts = try strings(key) else { return nil }
    let numbers = texts.compactMap { Int($0) }
    guard numbers.count == texts.count else { throw error(key, "must be a list of whole numbers") }
    return numbers
  }

  /// A list of numbers, or one.
  func doubles(_ key: String) throws(RecipeError) -> [Double]? {
    guard let texts = try strings(key) else { return nil }
    let numbers = texts.compactMap { Double($0) }.filter(\.isFinite)
    guard numbers.count == texts.count else { throw error(key, "must be a list of numbers") }
    return numbers
  }

  /// Lists of whole numbers by name; one without a name is under the empty one.
  func intLists(_ key: String) throws(RecipeError) -> OrderedDictionary<String, [Int]>? {
    guard mapping[Node(key)]?.mapping != nil, let node = try child(key) else { return try ints(key).map { ["": $0] } }
    var lists: OrderedDictionary<String, [Int]> = [:]
    for name in node.mapping.keys.compactMap(\.scalar?.string) { lists[name] = try node.ints(name) }
    return lists
  }

  /// The pairs of an object, in order, its values as text.
  func table(_ key: String) throws(RecipeError) -> [(key: String, value: String)] {
    guard let node = node(key) else { return [] }
    guard let members = node.mapping else { throw error(key, "must hold keys with values") }
    var pairs: [(key: String, value: String)] = []
    for (member, value) in members {
      guard let name = member.scalar?.string, let text = value.scalar?.string else {
        throw error(key, "must hold keys with plain values")
      }
      pairs.append((name, text))
    }
    return pairs
  }

  /// The pairs of an object whose values are numbers.
  func numbers(_ key: String) throws(RecipeError) -> OrderedDictionary<String, Double>? {
    guard has(key) else {
      known.append(key)
      return nil
    }
    var numbers: OrderedDictionary<String, Double> = [:]
    for (name, text) in try table(key) {
      guard let number = Double(text), number.isFinite else { throw error(key, "must give numbers, not “\(text)”") }
      numbers[name] = number
    }
    return numbers
  }

  /// A list of names; or one text, which is `all-linear`, a plain name or path, or a regular expression.
  func targets(_ key: String) throws(RecipeError) -> TargetModules? {
    guard let names = try strings(key) else { return nil }
    guard names.count == 1, !isList(key) else { return .names(names) }
    if names[0] == "all-linear" { return .allLinear }
    let isPlain = names[0].allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." }
    return isPlain ? .names(names) : .pattern(names[0])
  }

  /// The object under `key`; where it is a text instead, an object with that as its `type`.
  func child(_ key: String, shorthand: String? = nil) throws(RecipeError) -> RecipeNode? {
    guard let node = node(key) else { return nil }
    if let shorthand, node.scalar != nil {
      return RecipeNode(Node.Mapping([(Node(shorthand), node)]), path: name(key), source: source)
    }
    guard let mapping = node.mapping else { throw error(key, "must hold keys of its own") }
    return RecipeNode(mapping, path: name(key), source: source)
  }

  /// The elements of a list whose elements are texts or objects; one alone counts as a list.
  func elements(_ key: String, shorthand: String) throws(RecipeError) -> [RecipeNode] {
    guard let node = node(key) else { return [] }
    var found: [RecipeNode] = []
    for (index, element) in (node.sequence.map(Array.init) ?? [node]).enumerated() {
      let place = "\(name(key))[\(index)]"
      if element.scalar != nil {
        found.append(RecipeNode(Node.Mapping([(Node(shorthand), element)]), path: place, source: source))
      } else if let mapping = element.mapping {
        found.append(RecipeNode(mapping, path: place, source: source))
      } else {
        throw error(key, "must be a path or a list of them")
      }
    }
    return found
  }

  /// Everything it holds, as JSON: for parts that read their own settings.
  func json() -> OrderedDictionary<String, JSON> {
    known += mapping.keys.compactMap(\.scalar?.string)
    return Self.json(mapping)
  }

  private static func json(_ mapping: Node.Mapping) -> OrderedDictionary<String, JSON> {
    var members: OrderedDictionary<String, JSON> = [:]
    for (key, value) in mapping { members[key.scalar?.string ?? ""] = json(value) }
    return members
  }

  private static func json(_ node: Node) -> JSON {
    if let mapping = node.mapping { return .object(json(mapping)) }
    if let list = node.sequence { return .array(list.map(json)) }
    guard !isNull(node), let scalar = node.scalar else { return .null }
    guard scalar.style == .plain || scalar.style == .any else { return .string(scalar.string) }
    if let truth = ["true": true, "false": false][scalar.string] { return .bool(truth) }
    if let number = Int(scalar.string) { return .int(number) }
    return Double(scalar.string).flatMap { $0.isFinite ? .double($0) : nil } ?? .string(scalar.string)
  }

  /// Refuses every key that nothing asked for.
  ///
  /// - Throws: ``RecipeError`` that names the nearest known one.
  func finish() throws(RecipeError) {
    for key in mapping.keys {
      let name = key.scalar?.string ?? "?"
      if known.contains(name) { continue }
      let hint =
        nearestName(to: name, among: known).map { "did you mean “\(self.name($0))”?" }
        ?? "known are \(OrderedSet(known).joined(separator: ", "))"
      throw RecipeError("\(place(name, key.mark)): “\(self.name(name))” is no key of a recipe; \(hint)")
    }
  }
}
