extension DatasetFormat {
  /// Running text: `text`. A `.txt` file is one such row.
  public static let text = DatasetFormat(name: "text", layout: "text", required: ["text"], excluded: ["label"]) {
    row throws(RowProblem) in
    Sample(.text(try row.text("text")), location: row.location)
  }
}
