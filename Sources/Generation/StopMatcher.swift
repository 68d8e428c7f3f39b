/// Finds the first of some texts in a text that comes in pieces, and never lets out a part of it.
///
/// What is found does not depend on where the pieces begin and end: the text that is complete first counts, and of several that
/// end at the same place the longest.
struct StopMatcher {
  private let stops: [[UInt8]]
  /// The end of what came, as far as a stop text may have begun in it.
  private var held: [UInt8] = []
  /// Whether one of the texts was found.
  private(set) var isMatched = false

  init(_ stops: [String]) { self.stops = stops.map { Array($0.utf8) }.sorted { $0.count > $1.count } }

  /// Takes the next piece and returns what may be shown; nothing more once a stop text was found.
  mutating func push(_ piece: String) -> String {
    guard !isMatched else { return "" }
    if stops.isEmpty { return piece }
    for byte in piece.utf8 {
      held.append(byte)
      if let stop = stops.first(where: { held.suffix($0.count) == $0[...] }) {
        isMatched = true
        held.removeLast(stop.count)
        return release(held.count)
      }
    }
    return release(held.count - begun)
  }

  /// What was held back, where no more comes.
  mutating func finish() -> String { release(held.count) }

  /// How many bytes at the end may be the beginning of a stop text.
  private var begun: Int {
    let longest = min(held.count, (stops.first?.count ?? 1) - 1)
    for count in stride(from: longest, to: 0, by: -1) {
      let end = held.suffix(count)
      if stops.contains(where: { $0.count > count && $0.prefix(count) == end }) { return count }
    }
    return 0
  }

  private mutating func release(_ count: Int) -> String {
    defer { held.removeFirst(count) }
    return String(decoding: held.prefix(count), as: UTF8.self)
  }
}
