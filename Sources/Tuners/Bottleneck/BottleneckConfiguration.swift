import NN
import Text
import Torch

/// A bottleneck behind parts of each layer: features are mapped to a few, bent, and mapped back.
///
/// With r the stream that a part began from and h what the part gave, A(x) = s·(W_up·σ(W_down·x + b_down) + b_up), and the layer goes on
/// with one of
///
///     r + h + A(h)        Houlsby et al., arXiv:1902.00751, behind attention and behind the feed-forward part
///     r + h + A(r + h)    Pfeiffer et al., arXiv:2005.00247, behind the feed-forward part
///     r + h + A(r)        parallel; He et al., arXiv:2110.04366, beside the feed-forward part
///
/// Keys, defaults and files are those of AdapterHub's package `adapters`.
public struct BottleneckConfiguration: Sendable, Hashable {
  /// What the result of the bottleneck is multiplied by.
  public enum Scaling: Sendable, Hashable {
    /// A number.
    case fixed(Double)
    /// A number that is learnt, from 1.
    case learned
    /// A number for each feature that is learnt, from 1.
    case channel
  }

  /// What the weights begin as; biases begin as 0.
  public enum Start: String, Sendable, Hashable, CaseIterable {
    /// N(0, 0.02²).
    case normal = "bert"
    /// The first map U(−1/√in, 1/√in), the second 0: the model starts as it was.
    case zeroUp = "mam_adapter"
    /// N(0, 0.01²), cut off at two deviations.
    case truncated = "houlsby"
  }

  /// What a bottleneck sees.
  enum Input { case output, sum, stream }

  /// Whether one stands behind attention.
  public var isBehindAttention = false
  /// Whether one stands behind the feed-forward part.
  public var isBehindFeedForward = true
  /// The model's features for each of the bottleneck's; the quotient is rounded down, and 1 at least.
  public var reductionFactor = 16.0
  /// σ.
  public var activation = Activation.relu
  /// s.
  public var scaling = Scaling.fixed(1)
  /// Whether it sees the stream the part began from, not what the part gave.
  public var isParallel = false
  /// Whether it sees what the part gave with the stream added.
  public var seesSum = true
  /// What the weights begin as.
  public var start = Start.normal
  /// Share of the bottleneck's results that is dropped in training.
  public var dropout = 0.0
  /// Layers without one, from 0.
  public var leftOut: [Int]?
  /// Whether an invertible map stands before the first layer, as part of a language's adapter.
  public var isInvertible = false
  /// The features that its networks take for each of theirs inside; nil for 2.
  public var inverseReduction: Double?
  /// How the maps are made of smaller ones; nil for dense ones.
  public var hypercomplex: HypercomplexSettings?
  /// AdapterHub's `original_ln_after`, which follows from the other settings in a decoder, and is kept as it was read.
  var addsStreamBehind = true
  /// AdapterHub's `residual_before_ln`, of which the same holds.
  var keepsOutput = true

  /// Pfeiffer's.
  public init() {}

  /// These settings with changes.
  func changed(_ change: (inout Self) -> Void) -> Self {
    var settings = self
    change(&settings)
    return settings
  }

  /// Houlsby's.
  public static var houlsby: Self {
    Self().changed { ($0.isBehindAttention, $0.seesSum, $0.activation) = (true, false, .swish) }
  }

  /// Parallel ones.
  public static var parallel: Self {
    Self().changed {
      ($0.isParallel, $0.seesSum, $0.reductionFactor) = (true, false, 2)
      ($0.scaling, $0.start) = (.fixed(4), .zeroUp)
    }
  }

  /// Compacter's: Houlsby's places, or with `plusPlus` Pfeiffer's. Mahabadi et al., arXiv:2106.04647.
  public static func compacter(plusPlus: Bool) -> Self {
    var settings = plusPlus ? Self() : houlsby
    (settings.reductionFactor, settings.activation, settings.hypercomplex) = (32, .gelu, HypercomplexSettings())
    return settings
  }

  /// What a recipe calls bottlenecks that stand and are made so; `bottleneck` where it has no name for them.
  public var variant: String {
    let isPfeiffer = !isBehindAttention && isBehindFeedForward && input == .sum
    let isHoulsby = isBehindAttention && isBehindFeedForward && input == .output
    if hypercomplex != nil { return isPfeiffer ? "compacter++" : isHoulsby ? "compacter" : Self.name }
    return isPfeiffer ? "pfeiffer" : isHoulsby ? "houlsby" : isParallel ? "parallel" : Self.name
  }

  /// What a bottleneck sees.
  var input: Input { isParallel ? .stream : seesSum ? .sum : .output }

  /// The features that the networks of the invertible map take for each of theirs inside.
  var couplingReduction: Double { inverseReduction ?? 2 }

  /// Features of the bottleneck in a model of `size`.
  func innerSize(_ size: Int) -> Int { max(1, Int((Double(size) / reductionFactor).rounded(.down))) }
}

/// How the maps of a bottleneck are made of smaller ones: W = Σᵢ Rᵢ ⊗ Wᵢ with n rules R [n, n] and Wᵢ = Lᵢ·Mᵢ of low rank.
/// Zhang et al., arXiv:2102.08597.
public struct HypercomplexSettings: Sendable, Hashable {
  /// n, which divides the features of the model and of the bottleneck.
  public var dimension = 4
  /// Features between L and M.
  public var rank = 1
  /// Whether W is of low rank.
  public var factorsWeights = true
  /// Whether the rules are of rank 1.
  public var factorsRules = false
  /// Whether all maps have the same rules.
  public var sharesRules = true
  /// Whether the rules are learnt.
  public var learnsRules = true
  /// Whether maps have a bias.
  public var hasBias = true
  /// Whether rules begin as U(−1, 1) in place of N(0, `ruleRange`²).
  public var startsUniform = false
  /// Deviation of what rules begin as.
  public var ruleRange = 1e-4

  /// AdapterHub's defaults.
  public init() {}
}
