import ArgumentParser

/// `attune distill`: what a student learns from, made ahead of its run.
struct DistillCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "distill",
    abstract: "Ask a teacher once, for students that are trained many times.",
    discussion: """
      A student that learns beside its teacher needs none of this: `attune tune` with objective: { type: distill, teacher: NAME }.

      Example:
        attune distill capture --model smollm2 --recipe recipe.yaml --top-k 64 --output teacher.safetensors
      """,
    subcommands: [DistillCapture.self, DistillGenerate.self])
}
