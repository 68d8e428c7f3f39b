import Text

/// A file or folder of samples, and how much of it to use.
public struct DataSource: Sendable, Hashable, Codable {
  /// A file, or a folder of files.
  public var path: String
  /// How often an epoch uses each sample, on average: 1 once, 2 twice, 0.25 a quarter of them, other ones each epoch.
  public var weight: Double
  /// The name of a ``DatasetFormat``; nil to find out from the first rows.
  public var format: String?

  /// A source.
  public init(path: String, weight: Double = 1, format: String? = nil) {
    self.path = path
    self.weight = weight
    self.format = format == "auto" ? nil : format
  }
}

/// Samples from one or several sources, in the order of their files and rows.
public struct Dataset: Sendable {
  /// What was found in one source.
  public struct Source: Sendable, Hashable, Codable {
    /// The path as it was given.
    public var path: String
    /// The weight as it was given.
    public var weight: Double
    /// The format, named or found.
    public var format: String
    /// How many files it holds.
    public var files: Int
    /// All rows, good and bad.
    public var rows: Int

    /// A source of so many rows.
    public init(path: String, weight: Double = 1, format: String, files: Int = 1, rows: Int) {
      self.path = path
      self.weight = weight
      self.format = format
      self.files = files
      self.rows = rows
    }
  }

  /// What to do with rows that cannot be read.
  public enum BadRowPolicy: Sendable {
    /// Throw ``BadRows`` after all files have been read.
    case refuse
    /// Leave them out and report them in ``Dataset/badRows``.
    case skip
  }

  /// The samples; ``Sample/source`` indexes ``sources``.
  public var samples: [Sample]
  /// What they came from.
  public var sources: [Source]
  /// The rows left out.
  public var badRows: BadRows

  /// A data set made in memory.
  public init(samples: [Sample], sources: [Source], badRows: BadRows = BadRows()) {
    self.samples = samples
    self.sources = sources
    self.badRows = badRows
  }

  /// Reads sources whole. Rows are parsed on every core; their order is that of the files.
  ///
  /// - Parameters:
  ///   - sources: the files, in the order their rows take.
  ///   - policy: refuse or skip rows that cannot be read.
  ///   - listing: how many bad rows are described in full.
  ///   - keepsColumns: keep the columns of each row, ``Sample/columns``.
  /// - Throws: ``DatasetError`` where a file cannot be used at all, ``BadRows`` where rows are bad and `policy` is `refuse`.
  public static func load(
    _ sources: [DataSource], badRows policy: BadRowPolicy = .refuse, listing: Int = 20, keepsColumns: Bool = false
  ) throws -> Dataset {
    var dataset = Dataset(samples: [], sources: [], badRows: BadRows(limit: listing))
    for source in sources { try dataset.append(source, keepsColumns: keepsColumns) }
    if policy == .refuse, !dataset.badRows.isEmpty { throw dataset.badRows }
    guard !dataset.samples.isEmpty || !dataset.badRows.isEmpty else {
      let paths = sources.map { "“\($0.path)”" }.joined(separator: ", ")
      throw DatasetError("there are no rows in \(paths)", cure: "Give at least one file with rows")
    }
    return dataset
  }

  private mutating func append(_ source: DataSource, keepsColumns: Bool) throws {
    guard source.weight > 0, source.weight <= 10_000 else {
      throw DatasetError("the weight of “\(source.path)” is \(source.weight)", cure: "Weights are above 0 and at most 10000")
    }
    let files = try DataFile.find(source.path)
    var reading = SourceReading(
      format: try source.format.map { name throws(DatasetError) in try DatasetFormat.named(name) }, keepsColumns: keepsColumns)
    for file in files { try reading.read(file) }
    for result in reading.results {
      switch result {
      case .success(var sample):
        sample.source = sources.count
        samples.append(sample)
      case .failure(let problem): badRows.append(problem)
      }
    }
    let format = reading.format?.name ?? source.format ?? "unknown"
    sources.append(
      Source(path: source.path, weight: source.weight, format: format, files: files.count, rows: reading.results.count))
  }
}

/// Turns the rows of one source into samples, a block at a time.
private struct SourceReading {
  /// Rows cut before they are parsed together.
  static let blockSize = 4096

  var format: DatasetFormat?
  var results: [Result<Sample, RowProblem>] = []
  private let keepsColumns: Bool
  private var block: [RawRow] = []

  init(format: DatasetFormat?, keepsColumns: Bool) {
    self.format = format
    self.keepsColumns = keepsColumns
  }

  mutating func read(_ file: DataFile) throws {
    try file.read { row in
      block.append(row)
      if block.count == Self.blockSize { try parseBlock(of: file.path) }
    }
    try parseBlock(of: file.path)
  }

  private mutating func parseBlock(of path: String) throws {
    let rows = block.concurrentMap { raw in Result { () throws(RowProblem) in try raw.parsed() } }
    block.removeAll(keepingCapacity: true)
    let readable = rows.prefix(DatasetFormat.rowsToDetect).compactMap { try? $0.get() }
    if format == nil, !readable.isEmpty { format = try DatasetFormat.detect(in: readable, path: path) }
    let (format, keepsColumns) = (format, keepsColumns)
    results += rows.concurrentMap { row in
      row.flatMap { row in
        guard let format else { return .failure(row.missing("text", expected: "a field that tells its format")) }
        return Result { () throws(RowProblem) in
          var sample = try format.read(row)
          if keepsColumns { sample.columns = row.fields }
          return sample
        }
      }
    }
  }
}
