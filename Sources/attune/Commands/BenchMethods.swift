import ArgumentParser
import Foundation
import Recipes

/// `attune bench methods`: steps of methods beside those of LoRA.
struct BenchMethods: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "methods", abstract: "Measure how long a step of each method takes beside one of LoRA, in turn.",
    discussion: """
      A method is a name, or what a recipe's `method` says; without any, all are measured that need no adapter to start from.

      Example:
        attune bench methods --config smollm2-135m dora '{type: vera, r: 64}'
      """)

  @Argument(help: ArgumentHelp("The methods.", valueName: "method"))
  var methods: [String] = []

  @OptionGroup var model: BenchModelArguments

  @Option(help: ArgumentHelp("The method that they are measured beside.", valueName: "method"))
  var beside = MethodBench().beside

  @Option(help: ArgumentHelp("Samples in a step.", valueName: "n"))
  var batchSize = MethodBench().batchSize

  @Option(help: ArgumentHelp("Tokens of a random sample.", valueName: "n"))
  var length = MethodBench().length

  @Option(help: ArgumentHelp("Turns of each that count; one more goes before them.", valueName: "n"))
  var rounds = MethodBench().rounds

  @Option(help: ArgumentHelp("Steps of a turn that count; one more goes before them.", valueName: "n"))
  var steps = MethodBench().steps

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard [model.model, model.config].compactMap({ $0 }).count == 1 else {
      throw ValidationError("give one of --model and --config")
    }
    guard rounds > 0, steps > 0 else { throw ValidationError("--rounds and --steps must be numbers from 1") }
    guard (1...1 << 16).contains(batchSize), (2...1 << 20).contains(length) else {
      throw ValidationError("--batch-size must be a number from 1, and --length one from 2")
    }
  }

  func run() throws {
    var bench = MethodBench()
    (bench.beside, bench.batchSize, bench.length, bench.rounds, bench.steps) = (beside, batchSize, length, rounds, steps)
    let asked = methods.isEmpty ? MethodBench.standard : methods
    let result = try model.measure { weights, scratch in
      var first: ModelWeights? = weights
      return try bench.run(
        asked,
        load: {
          defer { first = nil }
          return try first ?? ModelWeights(URL(filePath: weights.path), options: model.machine.options)
        }, name: model.label(weights), scratch: scratch, observe: { Log.note(Self.line($0).joined(separator: "  ")) })
    }
    if json { return try Terminal.output.write(try JSONReport.text(result) + "\n") }
    let head = ["method", "trained", "step", "times the other's", "from", "to"]
    try TextTable([head] + result.methods.map(Self.line), numbers: [1, 2, 3, 4, 5]).print()
  }

  /// A method's cells.
  private static func line(_ speed: MethodSpeed) -> [String] {
    let ratios = speed.ratios
    return [
      speed.method, speed.trainableParameters.grouped, BenchFigure.seconds(speed.medianSeconds),
      BenchFigure.times(speed.medianRatio),
      BenchFigure.times(ratios.min() ?? 0), BenchFigure.times(ratios.max() ?? 0),
    ]
  }
}
