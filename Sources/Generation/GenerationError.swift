/// Why tokens cannot be generated or scored.
public enum GenerationError: Error, Sendable, Hashable, CustomStringConvertible {
  /// A setting is out of its range.
  case setting(name: String, problem: String)
  /// A row of tokens cannot be used; `row` counts from 0.
  case row(Int, problem: String)
  /// The model's scores are infinite or not numbers.
  case notFinite(row: Int, after: Int)

  /// What is wrong, where, and what to do.
  public var description: String {
    switch self {
    case .setting(let name, let problem): "“\(name)” \(problem)"
    case .row(let row, let problem): "row \(row) \(problem)"
    case .notFinite(let row, let tokens):
      "row \(row): after \(tokens) tokens the model's scores are no finite numbers. "
        + "Its weights or its adapter are damaged, or the element type is too narrow for it: try float32"
    }
  }
}
