import Datasets
import NN
import Objectives
import Torch

/// Finds where a loss or gradient stopped being a number.
struct NonFiniteDiagnosis {
  let model: any CausalLM
  let objective: any Objective
  let samples: [EncodedSample]

  /// The error that ends the run.
  ///
  /// - Parameter hasMoved: whether the step may have changed parameters.
  func error(step: Int, loss: Double, norm: Double, batches: [Batch], optimizer: Optimizer, hasMoved: Bool) throws
    -> TrainingError
  {
    let what = loss.isFinite ? "the gradients' norm is \(norm)" : "the loss is \(loss)"
    let sample = try firstBadSample(batches).map { "; first sample with such a loss: \(samples[$0].location)" } ?? ""
    let tensor = try firstBadTensor(optimizer).map { "; first bad tensor: \($0)" } ?? ""
    let lasting = samples.isEmpty ? "" : suspects(batches)
    return TrainingError(
      "step \(step): \(what)\(sample)\(tensor)\(sample.isEmpty ? lasting : ""). "
        + (hasMoved ? "Some parameters were moved in this step before that showed. " : "Nothing was changed by this step. ")
        + "A lower learning_rate, longer warm-up or dtype f32 often helps; the last checkpoint is from before it")
  }

  private func suspects(_ batches: [Batch]) -> String {
    let places = batches.flatMap(\.samples).prefix(8).map { "\(samples[$0].location)" }
    return "; the step's samples: \(places.joined(separator: ", "))"
  }

  private func firstBadSample(_ batches: [Batch]) throws -> Int? {
    for group in samples.groups where batches.contains(where: { $0.samples.contains(group.lowerBound) }) {
      let loss = try withoutGradients { () throws in
        try objective.lossSum(Batch(Array(group), of: samples), model: model).item()
      }
      if !loss.isFinite { return group.lowerBound }
    }
    return nil
  }

  private func firstBadTensor(_ optimizer: Optimizer) throws -> String? {
    for (path, _, value) in model.parameters() where value.dtype.isFloatingPoint {
      if try !value.isFinite().all() { return path }
    }
    return try optimizer.firstNonFiniteGradient().map { "the gradient of \($0)" }
  }
}
