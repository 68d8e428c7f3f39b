import Text

/// A way of writing samples down: how its rows are recognised and what they mean.
public struct DatasetFormat: Sendable {
  /// What a recipe calls it.
  public let name: String
  /// The fields of a row, in words.
  public let layout: String
  /// Fields that every row of it fills.
  public let required: Set<String>
  /// Fields that tell of another format although `required` is there.
  public let excluded: Set<String>
  /// Fields of which a row fills one at least; empty where `required` says all.
  public let oneOf: Set<String>
  private let sample: @Sendable (Row) throws(RowProblem) -> Sample

  init(
    name: String, layout: String, required: Set<String>, excluded: Set<String> = [], oneOf: Set<String> = [],
    sample: @escaping @Sendable (Row) throws(RowProblem) -> Sample
  ) {
    self.name = name
    self.layout = layout
    self.required = required
    self.excluded = excluded
    self.oneOf = oneOf
    self.sample = sample
  }

  /// The sample that a row stands for.
  ///
  /// - Throws: ``RowProblem`` where the row is not of this format, or comes with pictures or sound.
  public func read(_ row: Row) throws(RowProblem) -> Sample {
    for key in ["images", "videos", "audios"] {
      guard let media = row[key]?.array, !media.isEmpty else { continue }
      throw RowProblem(row.location, field: key, "is not empty", cure: "Only text can be learnt: leave rows with media out")
    }
    return try sample(row)
  }

  /// True for the filled keys of a row in this format.
  public func recognises(_ keys: Set<String>) -> Bool {
    required.isSubset(of: keys) && excluded.isDisjoint(with: keys) && (oneOf.isEmpty || !oneOf.isDisjoint(with: keys))
  }
}
