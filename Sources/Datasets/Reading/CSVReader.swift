import OrderedCollections
import Text

/// Reads comma- or tab-separated files with a header line. Every field is text.
enum CSVReader {
  private static let cure = "Put the field in double quotes and double the quotes inside it"

  /// Hands every row of the file to `body`, in order.
  ///
  /// - Throws: ``DatasetError`` where the header cannot be used.
  static func read(_ path: String, delimiter: UInt8, _ body: (RawRow) throws -> Void) throws {
    var chunks = try FileChunks(path: path)
    var parser = CSVParser(delimiter: delimiter, byteLimit: RawRow.byteLimit)
    var header: [String]?
    func take(_ record: CSVParser.Record) throws {
      if record.isBlank { return }
      guard let names = header else {
        header = try self.header(record, path: path)
        return
      }
      try body(row(record, names: names, location: SourceLocation(file: path, line: record.line)))
    }
    while let chunk = try chunks.next() {
      for byte in chunk {
        if let record = parser.consume(byte) { try take(record) }
      }
    }
    if let record = parser.finish() { try take(record) }
  }

  private static func header(_ record: CSVParser.Record, path: String) throws(DatasetError) -> [String] {
    if let fault = record.fault { throw DatasetError("the header of “\(path)” \(fault)", cure: cure) }
    var names: [String] = []
    for field in record.fields {
      guard let name = String(validating: field, as: UTF8.self) else {
        throw DatasetError("the header of “\(path)” is not UTF-8", cure: "Convert the file to UTF-8")
      }
      let trimmed = name.trimmingSpaces
      guard !trimmed.isEmpty, !names.contains(trimmed) else {
        let problem = trimmed.isEmpty ? "leaves column \(names.count + 1) without a name" : "names “\(trimmed)” twice"
        throw DatasetError("the header of “\(path)” \(problem)", cure: "Give every column a name of its own in the first line")
      }
      names.append(trimmed)
    }
    return names
  }

  private static func row(_ record: CSVParser.Record, names: [String], location: SourceLocation) -> RawRow {
    if let fault = record.fault { return .broken(location, fault, cure: cure) }
    guard record.fields.count == names.count else {
      let problem = "has \(record.fields.count) fields where the header has \(names.count)"
      return .broken(location, problem, cure: "Put fields with delimiters or line ends in double quotes")
    }
    var fields: OrderedDictionary<String, JSON> = [:]
    for (name, bytes) in zip(names, record.fields) {
      guard let text = String(validating: bytes, as: UTF8.self) else {
        let problem = RowProblem(location, field: name, "is not UTF-8", cure: "Convert the file to UTF-8")
        return RawRow(location: location, payload: .broken(problem))
      }
      fields[name] = .string(text)
    }
    return RawRow(location: location, payload: .fields(fields))
  }
}

extension String {
  /// Without the spaces and tabs around it.
  fileprivate var trimmingSpaces: String {
    let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
    return String(drop(while: isSpace).reversed().drop(while: isSpace).reversed())
  }
}
