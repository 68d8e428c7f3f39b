import ArgumentParser
import Foundation
import NN
import Recipes

/// `attune bench`: how fast this machine tunes and generates.
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure training steps, generation or loading: tokens a second, memory, utilisation.",
    discussion: """
      Nothing is kept: runs go to a temporary folder.

      Examples:
        attune bench recipe.yaml
        attune bench --config smollm2-135m --batch-size 4 --length 256 --dtype bf16
        attune bench methods --config smollm2-135m dora vera
        attune bench generate --config smollm2-135m --streams 16
      """,
    subcommands: [BenchTrain.self, BenchMethods.self, BenchGenerate.self, BenchLoad.self, BenchModel.self],
    defaultSubcommand: BenchTrain.self)
}

extension TrainingBench.Method: ExpressibleByArgument {}
extension GradientCheckpointing.Part: ExpressibleByArgument {}

/// Figures with the fewest digits that tell them apart.
enum BenchFigure {
  static func rate(_ value: Double) -> String { rounded(value, value < 100 ? 1 : 0) }
  static func seconds(_ value: Double) -> String { rounded(value, 3) + " s" }
  static func times(_ value: Double) -> String { value.formatted(.number.precision(.fractionLength(2)).grouping(.never)) }
  static func operations(_ value: Double) -> String { rounded(value / 1e9, 1) + " GFLOP" }
  static func percent(_ value: Double) -> String { rounded(100 * value, 1) + " %" }

  private static func rounded(_ value: Double, _ digits: Int) -> String {
    value.formatted(.number.precision(.fractionLength(digits)).grouping(.never))
  }
}

extension TextTable {
  /// Writes the rows to standard output.
  func print() throws { try Terminal.output.write(lines.joined(separator: "\n") + "\n") }
}
