import ArgumentParser

/// `attune student`: smaller models out of larger ones.
struct StudentCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "student",
    abstract: "Make a smaller model out of a larger one, for that to teach.",
    discussion: """
      Example:
        attune student make --model smollm2 --layers 12 --output student
      """,
    subcommands: [StudentMake.self])
}
