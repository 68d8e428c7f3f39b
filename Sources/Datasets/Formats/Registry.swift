import OrderedCollections

extension DatasetFormat {
  /// Every format. Where a row fits several, the first one counts.
  public static let all: [DatasetFormat] = [
    .messages, .sharegpt, .promptCompletion, .alpaca, .preference, .ranking, .labelled, .prompt, .text,
  ]

  /// How many rows at the head of a file decide which format it has.
  static let rowsToDetect = 64

  /// The format of that name.
  ///
  /// - Throws: ``DatasetError`` that lists the formats.
  public static func named(_ name: String) throws(DatasetError) -> DatasetFormat {
    guard let format = all.first(where: { $0.name == name }) else {
      let names = all.map(\.name).joined(separator: ", ")
      throw DatasetError("there is no data format “\(name)”", cure: "Write one of auto, \(names)")
    }
    return format
  }

  /// The format that fits most of `rows`, which are the first of `path`.
  ///
  /// - Throws: ``DatasetError`` with the keys found and the formats known, where no row fits any.
  static func detect(in rows: [Row], path: String) throws(DatasetError) -> DatasetFormat {
    var votes = [Int](repeating: 0, count: all.count)
    for row in rows {
      let keys = row.filledKeys
      if let index = all.firstIndex(where: { $0.recognises(keys) }) { votes[index] += 1 }
    }
    guard let most = votes.max(), most > 0, let winner = votes.firstIndex(of: most) else {
      var found: [String] = []
      for key in rows.flatMap(\.fields.keys) where !found.contains(key) { found.append(key) }
      let layouts = all.map { "\($0.name) (\($0.layout))" }.joined(separator: "; ")
      throw DatasetError(
        "the format of “\(path)” is not known: its rows have \(found.isEmpty ? "no keys" : found.prefix(12).joined(separator: ", "))",
        cure: "Name the fields as one of these formats does: \(layouts)")
    }
    return all[winner]
  }
}
