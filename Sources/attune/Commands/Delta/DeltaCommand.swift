import ArgumentParser

/// `attune delta`: the difference of two models as a thing of its own.
struct DeltaCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delta",
    abstract: "Make, apply and look over the difference of a tuned model and its base.",
    discussion: """
      A delta is smaller than the tuned model in some forms, and holds nothing of the base in any: who has the base can make the \
      tuned model of it.

      Example:
        attune delta make smollm2 merged --output merged-delta
      """,
    subcommands: [DeltaMake.self, DeltaApply.self, DeltaInspection.self])
}
