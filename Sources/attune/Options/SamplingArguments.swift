import ArgumentParser
import Generation
import Recipes
import Text

/// How tokens are chosen and when an answer ends.
struct SamplingArguments: ParsableArguments {
  @Option(help: ArgumentHelp("New tokens at most.", valueName: "n"))
  var maxNewTokens = SamplingSettings().maxNewTokens

  @Option(help: ArgumentHelp("What scores are divided by; 0 takes the likeliest token each time.", valueName: "t"))
  var temperature: Double?

  @Option(help: ArgumentHelp("Draw from the fewest tokens that together have this probability, up to 1.", valueName: "p"))
  var topP: Double?

  @Option(help: ArgumentHelp("Draw from this many of the likeliest tokens; 0 for all.", valueName: "k"))
  var topK: Int?

  @Option(help: ArgumentHelp("Draw from tokens at least this likely in proportion to the likeliest.", valueName: "p"))
  var minP: Double?

  @Option(help: ArgumentHelp("Divide the scores of tokens that came before by this; 1 leaves them alone.", valueName: "x"))
  var repetitionPenalty: Double?

  @Option(help: ArgumentHelp("Where random numbers start, so that an answer can be had again.", valueName: "n"))
  var seed: UInt64?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A text that ends the answer and is left out of it; may be given again.", valueName: "text"))
  var stop: [String] = []

  func validate() throws {
    // What a program reads has to fit in a signed number.
    if let seed, seed > UInt64(Int.max) { throw ValidationError("--seed must be at most \(Int.max)") }
    do throws(GenerationError) { try settings(for: nil, endTokens: []).validate() } catch {
      throw ValidationError("\(error)")
    }
  }

  /// The settings: what is given here, else what the model's `generation_config.json` asks for, else greedy choice.
  func settings(for generationConfig: JSON?, endTokens: Set<Int32>) -> SamplingSettings {
    var settings = SamplingSettings(generationConfig: generationConfig)
    if let temperature { settings.temperature = temperature }
    if let topP { settings.topP = topP }
    if let topK { settings.topK = topK }
    if let minP { settings.minP = minP }
    if let repetitionPenalty { settings.repetitionPenalty = repetitionPenalty }
    settings.seed = seed ?? .random(in: 0...UInt64(UInt32.max))
    settings.maxNewTokens = maxNewTokens
    settings.stop = stop
    settings.endTokens = endTokens
    return settings
  }
}
