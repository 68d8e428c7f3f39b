/// Whether every row of some sources can be read.
public struct ValidationReport: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The sources with their formats.
  public var sources: [Dataset.Source]
  /// Rows that can be read.
  public var goodRows: Int
  /// Rows that cannot, each with place and cure.
  public var badRows: BadRows

  /// True where there are samples and no bad rows.
  public var isValid: Bool { badRows.isEmpty && goodRows > 0 }

  /// The report for a terminal.
  public var description: String {
    let head = counted(goodRows, "good row")
    return badRows.isEmpty ? head : head + "\n" + badRows.description
  }
}

extension Dataset {
  /// Reads every row of every source and says which are bad.
  ///
  /// - Parameters:
  ///   - sources: the files to read.
  ///   - listing: how many bad rows are described in full; all of them by default.
  /// - Throws: ``DatasetError`` where a file cannot be used at all.
  public static func validate(_ sources: [DataSource], listing: Int = .max) throws -> ValidationReport {
    let dataset = try load(sources, badRows: .skip, listing: listing)
    return ValidationReport(sources: dataset.sources, goodRows: dataset.samples.count, badRows: dataset.badRows)
  }
}
