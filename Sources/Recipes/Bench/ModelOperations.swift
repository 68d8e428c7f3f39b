import NN
import Text
import Torch
import Tuners

/// The floating-point operations that a model's mathematics asks for; a product and its sum count two.
///
/// What an implementation does beyond it, such as recomputing activations or working on padding, is not counted, so that
/// operations ÷ seconds ÷ the machine's rate is a utilisation (Chowdhery et al., arXiv:2204.02311, appendix B). Norms,
/// activations and the table of tokens are left out: they are no products of matrices.
public struct ModelOperations: Sendable, Hashable {
  /// Numbers of projections that stay as they are, without the head.
  public var frozenWeights = 0
  /// Numbers of projections, without the head, and of adapters that are trained.
  public var trainedWeights = 0
  /// Numbers of the head.
  public var headWeights = 0
  /// Whether the head is trained.
  public var isHeadTrained = false
  /// layers · query heads · features of a head.
  public var attentionWidth = 0

  /// The counts of `model` as it stands, its adapters included.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - config: its `config.json`, which has the number of query heads.
  public init(_ model: any CausalLM, config: JSON) {
    let trained = Set(model.trainableParameters().map(\.path))
    for (path, slot) in model.projections() where !path.contains(".base_layer") {
      let isAdapted = slot.value is AdaptedProjection
      let isTrained = trained.contains(path + (isAdapted ? ".base_layer.weight" : ".weight"))
      let count = slot.value.inputSize * slot.value.outputSize
      if path == "lm_head" {
        (headWeights, isHeadTrained) = (count, isTrained)
      } else if isTrained {
        trainedWeights += count
      } else {
        frozenWeights += count
      }
    }
    for (path, _, value) in model.parameters() where path.contains(".adapters.") && value.rank == 2 {
      trainedWeights += value.count
    }
    let shape = model.shape
    let heads = config["num_attention_heads"]?.int ?? config["n_head"]?.int ?? shape.hiddenSize / max(1, shape.headSize)
    attentionWidth = shape.layerCount * heads * shape.headSize
  }

  /// Counts by name.
  public init(frozenWeights: Int, trainedWeights: Int, headWeights: Int, isHeadTrained: Bool, attentionWidth: Int) {
    self.frozenWeights = frozenWeights
    self.trainedWeights = trainedWeights
    self.headWeights = headWeights
    self.isHeadTrained = isHeadTrained
    self.attentionWidth = attentionWidth
  }

  /// Forward and backward over samples of these lengths, of whose tokens `targets` are predicted.
  ///
  /// Each weight costs 2 a token forward, 2 for the gradient of its input, and 2 more for its own where it is trained; each pair
  /// of tokens that see each other costs 4 a feature forward and 8 backward. Sliding windows are not taken into account.
  public func training(lengths: [Int], targets: Int) -> Double {
    let tokens = Double(lengths.reduce(0, +))
    let body = tokens * (4 * Double(frozenWeights) + 6 * Double(trainedWeights))
    let head = Double(targets) * Double(headWeights) * (isHeadTrained ? 6 : 4)
    return body + head + 12 * Double(attentionWidth) * Self.pairs(lengths)
  }

  /// Σ s·(s + 1)/2: the pairs of tokens of which the later sees the earlier or itself.
  private static func pairs(_ lengths: [Int]) -> Double { lengths.reduce(0) { $0 + Double($1) * Double($1 + 1) / 2 } }
}
