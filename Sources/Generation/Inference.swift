import NN
import Torch

extension CausalLM {
  /// Runs `body` without gradients and without dropout; what was set before comes back even if it throws.
  public func inference<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    let wasTraining = isTraining
    if wasTraining { train(false) }
    defer { if wasTraining { train(true) } }
    return try withoutGradients(body)
  }

  /// Refuses a row that is empty, has tokens that the model has no row for, or is longer than `limit`.
  ///
  /// - Parameters:
  ///   - row: token ids.
  ///   - index: its place, for the error.
  ///   - limit: the most tokens it may have.
  ///   - virtual: how many virtual tokens stand before it; nil for those of the soft prompts at work.
  /// - Throws: ``GenerationError`` that names the row.
  public func check(_ row: [Int32], index: Int, limit: Int, virtual: Int? = nil) throws(GenerationError) {
    guard !row.isEmpty else { throw .row(index, problem: "has no tokens") }
    guard row.count <= limit else {
      let count = virtual ?? prompts.count
      let virtual = count > 0 ? ", \(count) of them virtual," : ""
      throw .row(
        index,
        problem: "has \(row.count) tokens, and with a context of \(shape.contextLength)\(virtual) the model takes \(limit); "
          + "shorten it")
    }
    if let place = row.firstIndex(where: { $0 < 0 || Int($0) >= shape.vocabularySize }) {
      throw .row(
        index,
        problem: "has the token \(row[place]) at place \(place), and the model's run from 0 to \(shape.vocabularySize - 1); "
          + "is the tokenizer another model's?")
    }
  }

  /// ln p of each target after its row of `hidden` [N, d].
  public func logProbs(of targets: [Int64], after hidden: Tensor) throws(TorchError) -> [Float] {
    guard !targets.isEmpty else { return [] }
    return try logProbs(of: try Tensor(targets).to(device), after: hidden).array(Float.self)
  }
}
