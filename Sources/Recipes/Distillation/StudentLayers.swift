import Foundation

/// Which layers of a teacher a student keeps.
public enum StudentLayers: Sendable, Hashable {
  /// So many, evenly spread, the first and the last among them.
  case count(Int)
  /// Every second one, from the first.
  case even
  /// These, numbered from 0, ascending.
  case chosen([Int])

  /// `12`, `even`, or `0,2,4`; nil for anything else. One number is how many.
  public init?(parsing text: String) {
    if text == "even" {
      self = .even
      return
    }
    let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map {
      Int($0.trimmingCharacters(in: .whitespaces))
    }
    guard !numbers.contains(nil) else { return nil }
    let known = numbers.compactMap(\.self)
    self = known.count == 1 ? .count(known[0]) : .chosen(known)
  }

  /// The layers kept of so many.
  ///
  /// - Throws: ``RecipeError`` where the teacher has no such layers.
  func of(_ total: Int) throws(RecipeError) -> [Int] {
    switch self {
    case .even: return Array(stride(from: 0, to: total, by: 2))
    case .count(let count):
      guard (1...total).contains(count) else {
        throw RecipeError("--layers: the model has \(total) layers, so \(count) of them cannot be kept; give 1 to \(total)")
      }
      // i·(total − 1)/(count − 1), rounded.
      return (0..<count).map { count == 1 ? 0 : (2 * $0 * (total - 1) + count - 1) / (2 * (count - 1)) }
    case .chosen(let layers):
      guard layers.allSatisfy((0..<total).contains), zip(layers, layers.dropFirst()).allSatisfy({ $0 < $1 }) else {
        throw RecipeError(
          "--layers: \(layers.map(String.init).joined(separator: ",")) is no ascending list of layers from 0 to \(total - 1)")
      }
      return layers
    }
  }
}
