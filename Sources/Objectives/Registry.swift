/// Every objective there is, with its defaults, by the name a recipe gives it.
public enum Objectives {
  private static let registry: [any Objective & Sendable] = [
    SupervisedFineTuning(), DirectPreference(), ReferenceFreePreference(.cpo), ReferenceFreePreference(.simpo),
    ReferenceFreePreference(.orpo), KTO(), RewardModeling(), Distillation(), GroupRelativePolicy(), LeaveOneOutPolicy(),
    GroupRelativePolicy(name: "reinforce++"), ProximalPolicy(), OnlinePreference(),
  ]

  /// The names, in the table's order.
  public static var names: [String] { registry.map(\.name) }

  /// The objective of that name with its defaults; nil where there is none.
  public static func make(_ name: String) -> (any Objective & Sendable)? { registry.first { $0.name == name } }
}
