/// Every optimizer there is.
public enum Optimizers {
  /// What a recipe's `train.optimizer.type` names: an optimizer's own name, or a name that transformers gives one of its variants, with
  /// the settings it starts from.
  private static let registry: [(name: String, start: any OptimizerMethod)] = [
    ("adamw", AdamW()), ("adamw_8bit", AdamW { $0.bits = .eight }), ("paged_adamw", AdamW { $0.isPaged = true }),
    (
      "paged_adamw_8bit",
      AdamW {
        $0.bits = .eight
        $0.isPaged = true
      }
    ),
    ("adafactor", Adafactor()), ("lion", Lion()), ("lion_8bit", Lion { $0.bits = .eight }),
    ("paged_lion", Lion { $0.isPaged = true }),
    (
      "paged_lion_8bit",
      Lion {
        $0.bits = .eight
        $0.isPaged = true
      }
    ),
    ("sgd", SGD()), ("galore_adamw", GaLore()),
  ]

  /// The names a recipe may give, in the table's order.
  public static var names: [String] { registry.map(\.name) }

  /// The optimizer of that name with its defaults; nil where there is none.
  public static func make(_ name: String) -> (any OptimizerMethod)? { registry.first { $0.name == name }?.start }
}
