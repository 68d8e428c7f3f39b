import ArgumentParser
import Foundation
import Recipes

/// The program.
@main
struct Attune: ParsableCommand {
  /// The version that `--version` and `doctor` show.
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "attune",
    abstract: "Tunes language models: from data and base weights to a tuned, measured, merged model.",
    discussion: """
      Data goes to standard output, progress and failures to standard error.
      Exit status: 0 done, 1 failed, 2 wrong command line, 130 interrupted.

      Example:
        attune generate --model smollm2 --prompt "Name three colours."
      """,
    version: version,
    groupedSubcommands: [
      CommandGroup(
        name: "Tuning",
        subcommands: [
          Tune.self, Plan.self, QuickstartCommand.self, Merge.self, AdaptersCommand.self, DeltaCommand.self, DistillCommand.self,
          StudentCommand.self,
        ]),
      CommandGroup(name: "Using", subcommands: [Generate.self, Chat.self, Score.self, RewardCommand.self, Tokenize.self]),
      CommandGroup(name: "Feedback", subcommands: [LabelCommand.self, JudgeCommand.self]),
      CommandGroup(
        name: "Preparing", subcommands: [DataCommand.self, ModelsCommand.self, Quantize.self, Doctor.self, Bench.self]),
    ])

  static var _errorLabel: String { "error" }

  static func main() {
    StopSignal.install()
    Terminal.ignoreBrokenPipes()
    status(of: Array(CommandLine.arguments.dropFirst())).exit()
  }

  private static func status(of arguments: [String]) -> ExitStatus {
    do {
      try refuseUnknownVerb(arguments)
      var command = try parseAsRoot(arguments)
      try command.run()
      return .success
    } catch { return report(error) }
  }

  /// Names the verb that a slip comes nearest to.
  private static func refuseUnknownVerb(_ arguments: [String]) throws(ValidationError) {
    let verbs = configuration.subcommands.map { $0._commandName } + ["help"]
    guard let verb = arguments.first, !verb.hasPrefix("-"), !verbs.contains(verb) else { return }
    let hint = nearestName(to: verb, among: verbs).map { "; did you mean “\($0)”?" } ?? ""
    throw ValidationError("there is no command “\(verb)”\(hint)")
  }

  /// Says why the program ends, in the place where that belongs.
  private static func report(_ error: any Error) -> ExitStatus {
    switch exitCode(for: error) {
    case .success:
      // Help and version are what was asked for.
      do throws(CommandError) { try Terminal.output.write(fullMessage(for: error) + "\n") } catch {
        Log.error(error.description)
        return .failed
      }
      return .success
    case .validationFailure:
      Log.line(fullMessage(for: error))
      return .usage
    default:
      if error is Interrupted { return .interrupted }
      if !(error is ExitCode) { Log.error(systemWords(for: error)) }
      return .failed
    }
  }
}
