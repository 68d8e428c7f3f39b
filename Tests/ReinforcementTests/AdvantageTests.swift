import Objectives
import Testing

/// Advantages against calculations by hand.
@Suite struct AdvantageTests {
  private func close(_ a: [Double], _ b: [Double], within: Double = 1e-12) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= within }
  }

  @Test func groupsAreStandardized() {
    // Group 1: 1, 3: mean 2, deviation √2. Group 2: 5, nothing, 7 is of two known: mean 6, deviation √2.
    let root = 2.0.squareRoot()
    let two = GroupAdvantages.standardized([1, 3, 0, 0], size: 2)
    #expect(close(two, [-1 / (root + 1e-4), 1 / (root + 1e-4), 0, 0]))
    let three = GroupAdvantages.standardized([5, nil, 7], size: 3)
    #expect(close(three, [-1 / (root + 1e-4), 0, 1 / (root + 1e-4)]))
    #expect(GroupAdvantages.standardized([1, 3], size: 2, scale: .none) == [-1, 1])
    // All four: mean 2, squares 1 + 1 + 4 + 4 = 10, deviation √(10/3).
    let batch = GroupAdvantages.standardized([1, 3, 0, 4], size: 2, scale: .batch)
    let deviation = (10.0 / 3).squareRoot() + 1e-4
    #expect(close(batch, [-1 / deviation, 1 / deviation, -2 / deviation, 2 / deviation]))
    #expect(GroupAdvantages.standardized([nil, 4, nil, nil], size: 2) == [0, 0, 0, 0])
  }

  @Test func oneIsLeftOut() {
    // 1 − (2 + 6)/2, 2 − (1 + 6)/2, 6 − (1 + 2)/2
    #expect(GroupAdvantages.leaveOneOut([1, 2, 6], size: 3) == [-3, -1.5, 4.5])
    #expect(GroupAdvantages.leaveOneOut([1, nil, 6, nil, nil, 3], size: 3) == [-5, 0, 5, 0, 0, 0])
    // Mean 0, squares 9 + 2.25 + 20.25 = 31.5.
    let deviation = (31.5 / 2).squareRoot() + 1e-4
    #expect(
      close(
        GroupAdvantages.leaveOneOut([1, 2, 6], size: 3, normalizes: true), [-3 / deviation, -1.5 / deviation, 4.5 / deviation]))
  }

  @Test func groupsThatTellNothingAreFound() {
    #expect(GroupAdvantages.silent([1, 1, 0, 1, nil, 1, nil, nil], size: 2) == [true, false, true, true])
  }

  @Test func leavingTheReferenceHasAPrice() {
    let rewards = TokenAdvantages.rewards(score: 2, logProbs: [-1, -2, -1], references: [-1.5, -2, -0.5], beta: 0.1)
    #expect(close(rewards, [-0.05, 0, 2.05]))
    #expect(TokenAdvantages.rewards(score: 2, logProbs: [-1, -2], references: [], beta: 0.1) == [0, 2])
  }

  @Test func advantagesAreEstimatedFromTheEnd() {
    // γ 0.5, λ 0.5. δ₂ = 4 − 1 = 3. δ₁ = 0 + 0.5·1 − 2 = −1.5, A₁ = −1.5 + 0.25·3 = −0.75. δ₀ = 1 + 0.5·2 − 1 = 1,
    // A₀ = 1 + 0.25·(−0.75) = 0.8125.
    let (advantages, returns) = TokenAdvantages.generalized(rewards: [1, 0, 4], values: [1, 2, 1], gamma: 0.5, lambda: 0.5)
    #expect(advantages == [0.8125, -0.75, 3])
    #expect(returns == [1.8125, 1.25, 4])
    #expect(TokenAdvantages.returns(rewards: [1, 2, 4]) == [7, 6, 4])
    #expect(TokenAdvantages.returns(rewards: [1, 2, 4], gamma: 0.5) == [3, 4, 4])
  }

  @Test func whiteningCountsAllTokensTogether() {
    // 1, 2, 3: mean 2, variance 1.
    let scale = 1 / (1 + 1e-8).squareRoot()
    #expect(close(TokenAdvantages.whitened([[1], [2, 3]]).flatMap { $0 }, [-scale, 0, scale]))
    #expect(close(TokenAdvantages.whitened([[1], [2, 3]], keepsMean: true).flatMap { $0 }, [2 - scale, 2, 2 + scale]))
    #expect(TokenAdvantages.whitened([[], [5]]) == [[], [5]])
  }

  @Test func theControlFollowsItsTarget() {
    var control = DivergenceControl(beta: 0.1, target: 6, horizon: 100)
    control.observe(divergence: 6.6, answers: 10)
    #expect(abs(control.beta - 0.1 * (1 + 0.1 * 0.1)) < 1e-12)
    control.observe(divergence: 60, answers: 100)
    #expect(abs(control.beta - 0.101 * 1.2) < 1e-12)
    control.observe(divergence: .nan, answers: 100)
    #expect(abs(control.beta - 0.1212) < 1e-12)
    var fixed = DivergenceControl(beta: 0.1)
    fixed.observe(divergence: 60, answers: 100)
    #expect(fixed.beta == 0.1)
  }
}
