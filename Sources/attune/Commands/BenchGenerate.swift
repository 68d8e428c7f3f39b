import ArgumentParser
import Recipes

/// `attune bench generate`: generation.
struct BenchGenerate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Measure generation: prompts of random tokens, the likeliest token each time.",
    discussion: """
      Example:
        attune bench generate --config smollm2-135m --streams 16 --dtype bf16
      """)

  @OptionGroup var model: BenchModelArguments
  @OptionGroup var weights: QuantizationArguments

  @Option(help: ArgumentHelp("Sequences at once.", valueName: "n"))
  var streams = 1

  @Option(help: ArgumentHelp("Tokens of each prompt.", valueName: "n"))
  var promptLength = 64

  @Option(help: ArgumentHelp("New tokens of each sequence.", valueName: "n"))
  var newTokens = 128

  @Option(help: ArgumentHelp("Calls that count.", valueName: "n"))
  var steps = 3

  @Option(help: ArgumentHelp("Calls before them.", valueName: "n"))
  var warmup = 1

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard [model.model, model.config].compactMap({ $0 }).count == 1 else {
      throw ValidationError("give one of --model and --config")
    }
    guard streams > 0, promptLength > 1, newTokens > 1, steps > 0, warmup >= 0 else {
      throw ValidationError("--streams and --steps are numbers from 1, --prompt-length and --new-tokens from 2, --warmup from 0")
    }
  }

  func run() throws {
    let result = try model.measure(quantization: weights.quantization) { weights, _ in
      var bench = GenerationBench()
      (bench.streams, bench.promptLength, bench.newTokens) = (streams, promptLength, newTokens)
      (bench.repeats, bench.warmup) = (steps, warmup)
      return try bench.run(weights.model, name: model.label(weights))
    }
    if json {
      try Terminal.output.write(try JSONReport.text(result) + "\n")
    } else {
      try table(result).print()
    }
  }

  private func table(_ result: GenerationMeasurement) -> TextTable {
    var table = TextTable()
    table.append("model", "\(result.model), \(result.dtype) on \(result.device)")
    table.append("streams", "\(result.streams), \(result.promptLength) tokens of prompt and \(result.newTokens) new ones each")
    table.append("first token", "after " + BenchFigure.seconds(result.timeToFirstToken))
    table.append("prompt", BenchFigure.rate(result.prefillTokensPerSecond) + " tokens a second")
    table.append("new tokens", BenchFigure.rate(result.decodeTokensPerSecond) + " a second after the first")
    table.append("the whole", BenchFigure.rate(result.tokensPerSecond) + " new tokens a second")
    table.append("peak memory", result.peakMemoryBytes.asBytes)
    return table
  }
}
