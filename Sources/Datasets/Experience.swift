/// What a policy is to learn of an answer that it gave: numbers for each of its learnt tokens.
///
/// With n learnt tokens every list is [n], or empty where it is not needed.
public struct Experience: Sendable, Hashable, Codable {
  /// How much better than expected each token turned out; above 0 it is to become likelier.
  public var advantages: [Float]
  /// ln p of each token by the policy that gave the answer; empty where that is the policy as it stands.
  public var oldLogProbs: [Float]
  /// ln p of each token by the policy that training is held to.
  public var referenceLogProbs: [Float]
  /// What was expected at each token when the answer was given.
  public var oldValues: [Float]
  /// What came of it, which is what the value of each token should have been.
  public var returns: [Float]

  /// Numbers for learnt tokens.
  public init(
    advantages: [Float], oldLogProbs: [Float] = [], referenceLogProbs: [Float] = [], oldValues: [Float] = [],
    returns: [Float] = []
  ) {
    (self.advantages, self.oldLogProbs, self.referenceLogProbs) = (advantages, oldLogProbs, referenceLogProbs)
    (self.oldValues, self.returns) = (oldValues, returns)
  }
}
