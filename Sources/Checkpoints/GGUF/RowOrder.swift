/// The order in which a GGUF file holds the rows of a matrix, relative to the model's own.
enum RowOrder: Sendable, Hashable {
  /// The same.
  case same
  /// Each head's rows interleaved: the file has the first row of the head's upper half, the first of its lower half, the second of
  /// the upper half, and so on. llama.cpp stores query and key projections so for architecture `llama`, because its rotary embedding
  /// turns neighbouring pairs where Hugging Face's turns the two halves.
  case interleavedHalves(headSize: Int)

  /// The model's row that the file's row `row` is.
  func destination(of row: Int) -> Int {
    switch self {
    case .same: return row
    case .interleavedHalves(let headSize):
      let (head, place) = row.quotientAndRemainder(dividingBy: headSize)
      return head * headSize + place % 2 * (headSize / 2) + place / 2
    }
  }
}
