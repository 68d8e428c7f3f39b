/// How several low-rank changes become one: PEFT's `combination_type`.
public enum CombinationMethod: String, Sendable, Hashable, CaseIterable {
  /// Factor by factor: A = Σ ±√|wᵢsᵢ|·Aᵢ, B = Σ √|wᵢsᵢ|·Bᵢ. Cheap, and no more than an approximation of the sum of the changes.
  case linear
  /// The factors one after the other: exact, with the sum of the ranks.
  case cat
  /// The best low-rank approximation of the weighted sum of the changes.
  case svd
  /// Factor by factor, each pruned to its largest elements; per element only those of the elected sign count. Yadav et al.,
  /// arXiv:2306.01708.
  case ties
  /// The same on the changes themselves, approximated in low rank.
  case tiesSVD = "ties_svd"
  /// Factor by factor, elements dropped at random and the others scaled up. Yu et al., arXiv:2311.03099.
  case dareLinear = "dare_linear"
  /// The same on the changes themselves, approximated in low rank.
  case dareLinearSVD = "dare_linear_svd"
  /// Random dropping as in DARE, then the election of signs as in TIES.
  case dareTies = "dare_ties"
  /// The same on the changes themselves, approximated in low rank.
  case dareTiesSVD = "dare_ties_svd"
  /// Factor by factor, each pruned to its largest elements.
  case magnitudePrune = "magnitude_prune"
  /// The same on the changes themselves, approximated in low rank.
  case magnitudePruneSVD = "magnitude_prune_svd"

  /// How elements are dropped before the sum.
  enum Pruning { case none, magnitude, random }

  /// How it drops elements.
  var pruning: Pruning {
    switch self {
    case .linear, .cat, .svd: .none
    case .ties, .tiesSVD, .magnitudePrune, .magnitudePruneSVD: .magnitude
    case .dareLinear, .dareLinearSVD, .dareTies, .dareTiesSVD: .random
    }
  }

  /// Whether only elements of the elected sign count.
  var electsSigns: Bool {
    switch self {
    case .ties, .tiesSVD, .dareTies, .dareTiesSVD: true
    default: false
    }
  }

  /// Whether it works on the changes, where the others work on the factors.
  public var isOfChanges: Bool { rawValue.hasSuffix("svd") }

  /// Whether it takes a density.
  public var takesDensity: Bool { pruning != .none }
}

/// How the sign of an element is elected among several tensors.
public enum MajoritySign: String, Sendable, Hashable, CaseIterable {
  /// The sign of the sum.
  case total
  /// The sign that more of them have.
  case frequency
}
