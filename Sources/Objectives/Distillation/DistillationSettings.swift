import Torch

/// How a student is held to its teacher, under the names of TRL's GKD and of torchtune.
public struct DistillationSettings: Sendable, Hashable {
  /// What the distance of two distributions is. With t the teacher's probabilities, s the student's:
  public enum Divergence: String, Sendable, Hashable, CaseIterable {
    /// β·KL(t‖m) + (1 − β)·KL(s‖m), m = β·t + (1 − β)·s; at β = 0 KL(t‖s), at β = 1 KL(s‖t). Agarwal et al., arXiv:2306.13649.
    case generalizedJSD = "generalized_jsd"
    /// KL(t‖s): the student covers all that the teacher says. Hinton et al., arXiv:1503.02531.
    case forwardKL = "forward_kl"
    /// KL(s‖t): the student keeps to what the teacher says most. Gu et al., arXiv:2306.08543.
    case reverseKL = "reverse_kl"
    /// ratio·KL(t‖s) + (1 − ratio)·KL(s‖t).
    case symmetricKL = "symmetric_kl"
  }

  /// The distance.
  public var divergence = Divergence.generalizedJSD
  /// The teacher's share of the mixture in ``Divergence/generalizedJSD``, 0 … 1.
  public var beta = 0.5
  /// The forward share in ``Divergence/symmetricKL``, 0 … 1.
  public var symmetricRatio = 0.5
  /// What the logits of both are divided by, above 0. The loss is not multiplied by its square.
  public var temperature = 1.0
  /// The share of the distance in the loss, 0 … 1; the rest is the cross-entropy.
  public var ratio = 1.0
  /// With a teacher of which some tokens are known: whether all others are one class more.
  public var addsTail = true

  /// TRL's β of GKD, and no cross-entropy.
  public init() {}

  /// The loss as the operation takes it.
  public var loss: DistillationLoss {
    var loss = DistillationLoss()
    (loss.temperature, loss.share) = (temperature, ratio)
    switch divergence {
    case .generalizedJSD where beta == 0: loss.forward = 1
    case .generalizedJSD where beta == 1: loss.reverse = 1
    case .generalizedJSD: (loss.jensenShannon, loss.beta) = (1, beta)
    case .forwardKL: loss.forward = 1
    case .reverseKL: loss.reverse = 1
    case .symmetricKL: (loss.forward, loss.reverse) = (symmetricRatio, 1 - symmetricRatio)
    }
    return loss
  }
}
