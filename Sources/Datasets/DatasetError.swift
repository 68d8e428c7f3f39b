/// What is wrong with a data file as a whole, or with what was asked of it, and what to do about it.
public struct DatasetError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong, with the path, key or number concerned.
  public let problem: String
  /// What to do.
  public let cure: String

  /// A problem and its cure.
  public init(_ problem: String, cure: String) {
    self.problem = problem
    self.cure = cure
  }

  /// What is said to people.
  public var description: String { "\(problem). \(cure)." }
}

/// What is wrong with one row, where, and what to do about it.
public struct RowProblem: Error, Sendable, Hashable, Codable, CustomStringConvertible {
  /// The row.
  public var location: SourceLocation
  /// The path of the field inside the row (`messages[2].role`); nil where the row as a whole is meant.
  public var field: String?
  /// What is wrong.
  public var problem: String
  /// What to do.
  public var cure: String

  /// A problem and its cure.
  public init(_ location: SourceLocation, field: String? = nil, _ problem: String, cure: String) {
    self.location = location
    self.field = field
    self.problem = problem
    self.cure = cure
  }

  /// What is said to people.
  public var description: String {
    let place = field.map { "\(location): “\($0)”" } ?? "\(location):"
    return "\(place) \(problem). \(cure)."
  }
}

/// The bad rows of a data set: the first of them in full, all of them counted.
public struct BadRows: Error, Sendable, Hashable, Codable, CustomStringConvertible {
  /// The first problems, in the order of the rows.
  public private(set) var listed: [RowProblem] = []
  /// All problems.
  public private(set) var count = 0
  /// How many are listed at most.
  public let limit: Int

  /// An empty list.
  ///
  /// - Parameter limit: how many problems are kept in full.
  public init(limit: Int = 20) {
    self.limit = limit
  }

  /// True where nothing was found.
  public var isEmpty: Bool { count == 0 }

  /// Counts a problem and keeps it while there is room.
  public mutating func append(_ problem: RowProblem) {
    count += 1
    if listed.count < limit { listed.append(problem) }
  }

  /// What is said to people.
  public var description: String {
    let head = count == 1 ? "1 bad row" : "\(count) bad rows"
    let rest = count > listed.count ? ["… and \(count - listed.count) more"] : []
    return ([head + ":"] + listed.map { "  \($0)" } + rest.map { "  " + $0 }).joined(separator: "\n")
  }
}
