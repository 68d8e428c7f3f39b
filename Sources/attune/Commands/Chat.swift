import ArgumentParser
import Foundation
import Recipes
import Text

/// `attune chat`: a conversation on the terminal.
struct Chat: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Talk with a model.",
    discussion: """
      Each line is a turn; the model sees the whole conversation. Lines that begin with “/” are for the program: /help lists \\
      them. Ctrl-C stops an answer, a second one leaves; so does the end of the input. Lines may come from a pipe.

      Example:
        attune chat --model smollm2 --system "Answer in one sentence."
      """)

  @OptionGroup var model: ModelArguments

  @Option(parsing: .unconditional, help: ArgumentHelp("What the system says before the first turn.", valueName: "text"))
  var system: String?

  @OptionGroup var sampling: SamplingArguments
  @OptionGroup var weights: QuantizationArguments
  @OptionGroup var machine: MachineArguments

  func run() throws {
    let loaded = try model.load(machine, quantization: weights.quantization)
    var session = try ChatSession(loaded, system: system, sampling: sampling)
    let isInteractive = isatty(STDIN_FILENO) == 1
    if isInteractive { Log.note("Type a message. /help lists what else can be typed; Ctrl-D leaves.") }
    while let line = nextLine(isInteractive: isInteractive) {
      do {
        guard try session.take(line) else { return }
      } catch  where isInteractive && !(error is Interrupted) {
        // A person can mend it and go on.
        Log.error("\(error)")
      }
      if StopSignal.isSet {
        guard isInteractive, !StopSignal.endsProgram else { throw Interrupted() }
        StopSignal.clear()
        Log.note("(stopped)")
      }
    }
    if isInteractive { Log.line("") }
  }

  private func nextLine(isInteractive: Bool) -> String? {
    if isInteractive { try? Terminal.error.write(Terminal.error.styled("> ", .bold, .cyan)) }
    return readLine()
  }
}
