import OrderedCollections
import Recipes
import Text
import Tuners

/// Which adapters a line of requests asks for in its “adapter”: a name, a list of names, an object of names and weights, or null
/// for the model alone. Names are those of the adapters that the command line loads. “task” says which task of soft prompts that
/// know several it is.
struct RequestAdapter: Hashable {
  /// What is asked for; nil where the line leaves it to the command line.
  let uses: [AdapterUse]?
  /// The task, from 0; nil where the line leaves it to the command line.
  let task: Int?

  /// What a line asks for.
  ///
  /// - Throws: ``CommandError`` where “adapter” or “task” is none of what they may be.
  init(of line: JSON) throws(CommandError) {
    task = try Self.task(line["task"])
    switch line["adapter"] {
    case nil: uses = nil
    case .null?: uses = []
    case .string(let name)?: uses = [AdapterUse(name)]
    case .array(let list)?:
      let names = list.compactMap(\.string)
      guard names.count == list.count else { throw CommandError("“adapter” is a list of other things than names") }
      uses = names.map { AdapterUse($0) }
    case .object(let weights)?:
      var uses: [AdapterUse] = []
      for (name, value) in weights {
        guard let weight = value.double, weight.isFinite else {
          throw CommandError("“adapter”: the weight of “\(name)” is \(value.text()), which is no number")
        }
        uses.append(AdapterUse(name, weight: weight))
      }
      self.uses = uses
    default: throw CommandError("“adapter” must be a name, a list of names, an object of names and weights, or null")
    }
  }

  private static func task(_ json: JSON?) throws(CommandError) -> Int? {
    guard let json, !json.isNull else { return nil }
    guard let task = json.int, task >= 0 else {
      throw CommandError(
        "“task” is \(json.text()), which is no number from 0: it says which task of an adapter that knows several it is; leave it out, "
          + "or give what it holds another name")
    }
    return task
  }

  /// The virtual tokens that stand before its rows.
  func virtualTokens(_ adapters: AdapterSet) -> Int { adapters.virtualTokens(of: uses ?? adapters.uses) }

  /// Refuses requests for adapters that were not loaded.
  ///
  /// - Throws: ``CommandError`` that names the first.
  static func check(_ requests: [(place: String, adapter: RequestAdapter)], against adapters: AdapterSet) throws(CommandError) {
    for (place, adapter) in requests {
      for use in adapter.uses ?? [] where adapters[use.name] == nil {
        let names = adapters.adapters.map(\.name)
        let hint = nearestName(to: use.name, among: names).map { "; did you mean “\($0)”?" } ?? ""
        throw CommandError(
          "\(place): no --adapter is called “\(use.name)”; there is \(names.isEmpty ? "none" : names.joined(separator: ", "))\(hint)"
        )
      }
    }
  }

  /// Runs `body` with each request's own adapters at work on its rows; as the command line says where no request asks for any.
  ///
  /// - Throws: `TunerError` where adapters cannot serve requests apart; what `body` throws.
  static func serving<Result>(
    _ requests: [RequestAdapter], with adapters: AdapterSet, _ body: (AdapterRouting?) throws -> Result
  ) throws -> Result {
    guard requests.contains(where: { $0.uses != nil || $0.task != nil }) else { return try body(nil) }
    let standard = adapters.uses
    return try adapters.routing(requests.map { $0.uses ?? standard }, tasks: requests.map(\.task), body)
  }
}
