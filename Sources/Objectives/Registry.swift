/// Every objective there is, by the name a recipe gives it.
public enum Objectives {
  private static let registry: [String: @Sendable () -> any Objective] = [
    "sft": { SupervisedFineTuning() }
  ]

  /// The names, in order.
  public static var names: [String] { registry.keys.sorted() }

  /// The objective of that name; nil where there is none.
  public static func make(_ name: String) -> (any Objective)? { registry[name]?() }
}
