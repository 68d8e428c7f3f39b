import ArgumentParser
import Checkpoints
import Foundation
import Generation
import NN
import Recipes
import Text

/// `attune generate`: continues a prompt, or answers it.
struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Answer a prompt, or continue it with --raw.",
    discussion: """
      The prompt goes through the model's chat template where it has one; --raw gives it to the model as it is. Without \
      sampling options the model's generation_config.json decides, where it asks for sampling; else the likeliest token is \
      taken each time. Ctrl-C ends the answer, a second one the program.

      With --input, each line {"prompt": …, "system": …, "adapter": …, "task": …} of a file is answered with a line of JSON, \
      several at a time. “adapter” names those of the --adapter that answer: a name, a list, {name: weight}, or null for none; \
      “task” names the task of one that knows several.

      Example:
        attune generate --model smollm2 --prompt "Name three colours."
      """)

  @OptionGroup var model: ModelArguments

  @Option(
    name: .shortAndLong, parsing: .unconditional,
    help: "The prompt; “-” reads it from standard input, without its last line end.")
  var prompt: String?

  @Option(
    name: .shortAndLong, help: ArgumentHelp("A file of prompts, one a line as JSON; “-” for standard input.", valueName: "file"))
  var input: String?

  @Option(
    name: .shortAndLong, help: ArgumentHelp("Where the answers to --input go (default: standard output).", valueName: "file"))
  var output: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("What the system says before the prompt.", valueName: "text"))
  var system: String?

  @Flag(help: "Give the prompt to the model as it is, without the chat template.")
  var raw = false

  @OptionGroup var sampling: SamplingArguments

  @OptionGroup var weights: QuantizationArguments

  @Flag(help: "Print one JSON object: text, tokens, why it ended, counts and times.")
  var json = false

  @OptionGroup var machine: MachineArguments

  func validate() throws {
    if (prompt == nil) == (input == nil) { throw ValidationError("give --prompt or --input, and one of them only") }
    if input != nil, system != nil { throw ValidationError("--system is for --prompt; with --input each line has its own") }
    if output != nil, input == nil { throw ValidationError("--output is for --input") }
    if raw, system != nil { throw ValidationError("--system needs the chat template, which --raw leaves out; drop one of them") }
  }

  func run() throws {
    guard let prompt = try promptText() else { return try answerFile() }
    let loaded = try model.load(machine, quantization: weights.quantization)
    let tokens = try tokens(of: prompt, loaded)
    let settings = sampling.settings(for: loaded.generationConfig, endTokens: loaded.stopTokens)
    let output = try StreamedAnswer.generate(
      Generator(loaded.model, tokenizer: loaded.text.tokenizer), tokens, settings, isShown: !json)
    try Terminal.output.write(json ? report(output).text() + "\n" : "\n")
    Log.note(output.timing.summary)
    try StopSignal.check()
  }

  /// Answers each line of a file.
  private func answerFile() throws {
    let requests = try GenerateRequests(input ?? "-")
    if let output, let input, output != "-",
      URL(filePath: output).resolvingSymlinksInPath() == URL(filePath: input).resolvingSymlinksInPath()
    {
      throw CommandError("--output: \(output) is the input, which the answers would replace; name another file")
    }
    let loaded = try model.load(machine, quantization: weights.quantization)
    let settings = sampling.settings(for: loaded.generationConfig, endTokens: loaded.stopTokens)
    let timing = try StopSignal.handling {
      guard let output, output != "-" else {
        return try requests.run(loaded, settings, raw: raw) { try Terminal.output.write($0) }
      }
      return try AtomicFile.write(to: URL(filePath: output)) { sink in
        let timing = try requests.run(loaded, settings, raw: raw) { try sink.write($0) }
        try StopSignal.check()
        return timing
      }
    }
    Log.note(timing.summary)
    try StopSignal.check()
  }

  private func promptText() throws -> String? {
    guard prompt == "-" else { return prompt }
    let text = try TextInput.read("-")
    return text.hasSuffix("\n") ? String(text.dropLast()) : text
  }

  private func tokens(of prompt: String, _ loaded: LoadedModel) throws -> [Int32] {
    let usesTemplate = try !raw && (system != nil || loaded.text.template() != nil)
    let tokens: [Int32]
    if usesTemplate {
      let opening = system.map { [Message(role: "system", content: $0)] } ?? []
      tokens = try loaded.text.encode(opening + [Message(role: "user", content: prompt)])
    } else {
      tokens = loaded.text.tokenizer.encode(prompt, addSpecialTokens: true)
    }
    guard !tokens.isEmpty else { throw CommandError("the prompt is empty, and this model puts nothing before it; give it text") }
    let limit = loaded.model.tokenLimit
    guard tokens.count < limit else {
      throw CommandError(
        "the prompt has \(tokens.count) tokens, and the model's context of \(limit) leaves no room for an answer")
    }
    return tokens
  }

  private func report(_ output: GenerationOutput) -> JSON {
    let sequence = output.sequences[0]
    return [
      "text": .string(sequence.text),
      "tokens": .array(sequence.ids.map { .int(Int($0)) }),
      "finish_reason": .string(sequence.finishReason.rawValue),
      "prompt_tokens": .int(sequence.promptTokens),
      "new_tokens": .int(sequence.ids.count),
      "seed": .int(Int(clamping: output.seed)),
      "prefill_seconds": .double(output.timing.prefillSeconds),
      "decode_seconds": .double(output.timing.decodeSeconds),
      "tokens_per_second": .double(output.timing.tokensPerSecond),
    ]
  }
}

extension GenerationTiming {
  /// Counts and speeds in a line.
  var summary: String {
    func rounded(_ value: Double) -> String { value.formatted(.number.precision(.fractionLength(1)).grouping(.never)) }
    let prompt = prefillSeconds > 0 ? " (\(rounded(Double(promptTokens) / prefillSeconds)) tokens/s)" : ""
    return "prompt \(promptTokens) tokens\(prompt), answer \(newTokens) tokens (\(rounded(tokensPerSecond)) tokens/s)"
  }
}
