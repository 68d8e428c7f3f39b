/// What is in a data set, and what to look at before training on it.
public struct InspectionReport: Sendable, Hashable, Codable {
  /// What a limit would do.
  public struct Limit: Sendable, Hashable, Codable {
    /// The limit in tokens.
    public var maxLength: Int
    /// Samples that are longer.
    public var longSamples: Int
    /// Their share of the samples, from 0 to 1.
    public var longShare: Double
    /// Tokens that would be cut off or left out.
    public var lostTokens: Int
    /// Their share of the tokens, from 0 to 1.
    public var lostShare: Double
  }

  /// The sources with their formats.
  public var sources: [Dataset.Source]
  /// Samples that could be read.
  public var samples: Int
  /// Rows that could not.
  public var badRows: BadRows
  /// What lengths are counted in: `tokens`, or `bytes` where no tokenizer was given.
  public var unit: String
  /// The lengths of the samples.
  public var lengths: Quantiles?
  /// How many targets the samples have; nil without a tokenizer.
  public var trained: Quantiles?
  /// What the limit would do; nil without a tokenizer or a limit.
  public var limit: Limit?
  /// Samples that occur twice or more.
  public var duplicates: Duplicates
  /// Samples that differ in case, punctuation or spaces only.
  public var nearDuplicates: Duplicates
  /// Samples that occur in the data measured on, too; nil where none was given.
  public var evalOverlap: Duplicates?
  /// What to look at.
  public var worries: [Worry]
}

extension InspectionReport: CustomStringConvertible {
  /// The report for a terminal.
  public var description: String {
    var lines = sources.map {
      "\($0.path): \(counted($0.rows, "row")) in \(counted($0.files, "file")), format \($0.format)"
    }
    lines.append("samples: \(samples)")
    if let lengths { lines.append("length in \(unit): \(lengths.line)") }
    if let trained { lines.append("learnt tokens:    \(trained.line)") }
    if let limit {
      lines.append(
        "max_length \(limit.maxLength): \(limit.longSamples) samples (\(percent(limit.longShare))) are longer; "
          + "\(limit.lostTokens) tokens (\(percent(limit.lostShare))) would be lost")
    }
    lines += describe(duplicates, "exact duplicates")
    lines += describe(nearDuplicates, "near duplicates (same letters and digits)")
    if let evalOverlap { lines += describe(evalOverlap, "samples of the evaluation data that are also trained on") }
    for worry in worries {
      let rest = worry.count > worry.shown.count ? ", …" : ""
      lines.append("\(worry.count) × \(worry.kind.meaning): " + worry.shown.map(\.description).joined(separator: ", ") + rest)
    }
    if !badRows.isEmpty { lines.append(badRows.description) }
    return lines.joined(separator: "\n")
  }

  private func percent(_ share: Double) -> String { "\((share * 100).rounded(toPlaces: 1)) %" }

  private func describe(_ duplicates: Duplicates, _ name: String) -> [String] {
    ["\(name): \(duplicates.copies)"]
      + duplicates.shown.map { "  " + $0.map(\.description).joined(separator: " = ") }
  }
}
