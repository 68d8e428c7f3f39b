/// Rows of text in columns.
struct TextTable {
  private var rows: [[String]]
  private let numbers: Set<Int>

  /// - Parameter numbers: the columns that stand flush right.
  init(_ rows: [[String]] = [], numbers: Set<Int> = []) { (self.rows, self.numbers) = (rows, numbers) }

  mutating func append(_ cells: String...) { append(cells) }
  mutating func append(_ cells: [String]) { rows.append(cells) }

  /// A line for each row, without spaces at its end.
  var lines: [String] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { cells in
      let padded = cells.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return numbers.contains(column) ? space + cell : cell + space
      }
      var line = padded.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}

extension Int {
  /// With commas between thousands: `134,515,008`.
  var grouped: String {
    let digits = String(magnitude)
    let groups = stride(from: digits.count, to: 0, by: -3).map { end in String(digits.prefix(end).suffix(Swift.min(3, end))) }
    return (self < 0 ? "-" : "") + groups.reversed().joined(separator: ",")
  }

  /// As a size of memory or files: `98.1 MB`.
  var asBytes: String {
    let units = ["kB", "MB", "GB", "TB"]
    var value = Double(self)
    var unit = "bytes"
    for next in units where value >= 1000 { (value, unit) = (value / 1000, next) }
    return unit == "bytes" ? "\(self) bytes" : "\((value * 10).rounded() / 10) \(unit)"
  }
}
