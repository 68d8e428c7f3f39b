import Torch

/// What stands before each row of tokens that begins in a pass.
struct RowFronts {
  /// Rows in the place of embeddings [n, d], by row of tokens; nil for none.
  private(set) var rows: [Tensor?]
  /// The prefixes there are, each by layer.
  private(set) var prefixes: [[KeyValueRows]] = []
  /// Which of them each row of tokens has; nil for none.
  private(set) var owners: [Int?]

  /// Nothing, before `count` rows of tokens.
  init(count: Int) { (rows, owners) = (Array(repeating: nil, count: count), Array(repeating: nil, count: count)) }

  /// Virtual tokens that pass through the layers, by row of tokens.
  var virtualRows: [Int] { rows.map { $0?.shape[0] ?? 0 } }
  /// All virtual tokens, by row of tokens: the position of its first.
  var counts: [Int] { zip(virtualRows, owners).map { $0 + ($1.map { prefixes[$0].first?.count ?? 0 } ?? 0) } }

  /// Adds what stands before the rows of tokens at `places`: a prefix by layer, and rows [places, n, d] behind it.
  mutating func add(_ prefix: [KeyValueRows], _ front: Tensor?, at places: [Int]) throws(TorchError) {
    if let front { for (index, place) in places.enumerated() { rows[place] = try front.selected(0, index) } }
    guard !prefix.isEmpty else { return }
    for place in places { owners[place] = prefixes.count }
    prefixes.append(prefix)
  }

  /// The keys and values before `segments` segments, of which those behind the rows of tokens have none; by layer, empty where no
  /// row has any.
  func prefixes(segments: Int) -> [SegmentPrefixes] {
    guard let first = prefixes.first else { return [] }
    let owners = owners + Array(repeating: nil, count: segments - owners.count)
    return first.indices.map { layer in SegmentPrefixes(prefixes: prefixes.map { $0[layer] }, owners: owners) }
  }
}

extension SoftPrompts {
  /// What stands before `rows` rows of tokens; nil where nothing does.
  ///
  /// - Throws: `TorchError` where the tasks are not as many as the rows, or of a prompt.
  func fronts(rows: Int, tasks: [Int], layers: Int) throws(TorchError) -> RowFronts? {
    guard tasks.isEmpty || tasks.count == rows else {
      throw TorchError(operation: "virtual_tokens", message: "\(tasks.count) tasks for \(rows) rows of tokens")
    }
    let choices = try routing?.prompts(beforeRows: rows) ?? Array(repeating: PromptChoice(active), count: rows)
    guard choices.contains(where: { count(of: $0.names) > 0 }) else { return nil }
    var places: [[String]: [Int]] = [:]
    for (place, choice) in choices.enumerated() { places[choice.names, default: []].append(place) }
    var fronts = RowFronts(count: rows)
    for (names, places) in places.sorted(by: { $0.value[0] < $1.value[0] }) {
      let own = places.map { choices[$0].task ?? (tasks.isEmpty ? task : tasks[$0]) }
      let (prefix, front) = try virtualTokens(of: names, tasks: own, layers: layers)
      try fronts.add(prefix, front, at: places)
    }
    routing?.widen(by: fronts.virtualRows)
    return fronts
  }

  /// What stands before rows of tokens with these tasks: keys and values by layer, and rows [S, n, d] behind them.
  private func virtualTokens(
    of names: [String], tasks: [Int], layers: Int
  ) throws(TorchError) -> (prefix: [KeyValueRows], rows: Tensor?) {
    var prefixes: [[KeyValueRows]] = []
    var parts: [Tensor] = []
    for prompt in modules(named: names) {
      switch try prompt.virtualTokens(rows: tasks.count, tasks: tasks) {
      case .rows(let rows): parts.append(rows)
      case .keysAndValues(let prefix):
        guard prefix.count == layers else {
          throw TorchError(operation: "virtual_tokens", message: "keys and values for \(prefix.count) of \(layers) layers")
        }
        prefixes.append(prefix)
      }
    }
    return (try KeyValueRows.joined(prefixes), parts.count > 1 ? try .concatenated(parts, 1) : parts.first)
  }
}
