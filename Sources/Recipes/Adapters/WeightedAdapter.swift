/// A saved adapter with the weight it takes part with: `runs/tone`, or `runs/tone=0.7`.
public struct WeightedAdapter: Sendable, Hashable {
  /// Its folder, or that of a run.
  public var folder: String
  /// The weight, a finite number; 1 is as it was trained.
  public var weight: Double

  /// An adapter by its parts.
  public init(_ folder: String, weight: Double = 1) { (self.folder, self.weight) = (folder, weight) }

  /// An adapter as a command line names it: what follows the last “=” is the weight where it is a number, else part of the name.
  public init?(parsing text: String) {
    guard !text.isEmpty else { return nil }
    self.init(text)
    if let sign = text.lastIndex(of: "="), sign > text.startIndex, let weight = Double(text[text.index(after: sign)...]),
      weight.isFinite
    {
      self.init(String(text[..<sign]), weight: weight)
    }
  }
}
