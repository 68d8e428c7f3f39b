import NN
import Torch

extension Scorer {
  /// What the model's score head says of each row, from the place of its last token: as many numbers as the head has labels, one of a
  /// reward model.
  ///
  /// - Throws: ``GenerationError`` for a row that is empty, has unknown tokens or more than the context holds; `TorchError`, also where
  ///   the model has no such head.
  public func rewards(_ rows: [[Int32]]) throws -> [[Float]] {
    try passes(rows, requests: Array(rows.indices)) { (part) throws(TorchError) in
      var (places, end) = ([Int64](), 0)
      for row in rows[part] {
        end += row.count
        places.append(Int64(end - 1))
      }
      let scores = try model.scores(try hidden(rows[part], at: places))
      let labels = try scores.size(1)
      let flat = try scores.array(Float.self)
      return (0..<part.count).map { Array(flat[$0 * labels..<($0 + 1) * labels]) }
    }
  }
}
