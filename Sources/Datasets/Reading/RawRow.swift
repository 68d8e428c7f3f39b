import OrderedCollections
import Text

/// A row as it was cut from its file. Cutting is sequential; parsing, which costs more, can be done on every core.
struct RawRow: Sendable {
  /// What was cut.
  enum Payload: Sendable {
    /// The text of a JSON value.
    case json([UInt8])
    /// Fields that need no parsing.
    case fields(OrderedDictionary<String, JSON>)
    /// What is wrong here.
    case broken(RowProblem)
  }

  /// How many bytes a row may have: 64 MiB.
  static let byteLimit = 1 << 26

  let location: SourceLocation
  let payload: Payload

  /// A row that could not be cut, with the reason.
  static func broken(_ location: SourceLocation, _ problem: String, cure: String) -> RawRow {
    RawRow(location: location, payload: .broken(RowProblem(location, problem, cure: cure)))
  }

  /// The row with its fields.
  func parsed() throws(RowProblem) -> Row {
    switch payload {
    case .broken(let problem): throw problem
    case .fields(let fields): return Row(location: location, fields: fields)
    case .json(let bytes): return Row(location: location, fields: try object(bytes))
    }
  }

  private func object(_ bytes: [UInt8]) throws(RowProblem) -> OrderedDictionary<String, JSON> {
    let value: JSON
    do {
      value = try JSON(parsing: bytes)
    } catch {
      let place = SourceLocation(file: location.file, line: location.line + error.line - 1)
      let problem = "is not valid JSON at column \(error.column): \(error.problem)"
      let cure = error.problem.contains("UTF-8") ? "Convert the file to UTF-8" : "Write the row as one JSON object"
      throw RowProblem(place, problem, cure: cure)
    }
    guard let fields = value.object else {
      throw RowProblem(location, "is \(value.kind) where an object should stand", cure: #"Write the row as {"key": value, …}"#)
    }
    return fields
  }
}
