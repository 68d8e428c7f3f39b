import Datasets
import NN
import Torch

/// What a run minimises.
///
/// An objective gives sums, not means: the trainer divides by the count of the whole optimizer step, so that neither accumulation
/// nor uneven lengths change what is minimised.
public protocol Objective {
  /// The name a recipe gives it: `sft` …
  var name: String { get }
  /// What `batch` adds to the count the step's loss is divided by. Needs no forward pass.
  func count(_ batch: Batch) -> Int
  /// What `batch` adds to the step's loss, before division: one number with a graph behind it.
  ///
  /// - Throws: what the model throws.
  func lossSum(_ batch: Batch, model: any CausalLM) throws -> Tensor
}
