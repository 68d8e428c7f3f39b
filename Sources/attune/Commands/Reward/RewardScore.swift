import ArgumentParser
import Checkpoints
import Datasets
import Foundation
import Generation
import NN
import Recipes
import Text

/// `attune reward score`: what a reward model says of given answers.
struct RewardScore: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "score",
    abstract: "Score answers with a reward model.",
    discussion: """
      The model is one with a score head, …ForSequenceClassification, or any other with an adapter that was trained with \
      “objective: reward” or with PEFT's SEQ_CLS. A line of the input is one of
        {"prompt": …, "response": …}   texts, encoded as in training; or lists of messages; “completion” is the same as “response”
        {"messages": […]}              a conversation, rendered through the chat template; “tools” beside it
        {"text": …}                    taken as it stands, without special tokens
        {"tokens": […]}
      For each of them the output has a line {"score": …}, or {"scores": […]} where the head has several labels. The output \
      file appears when all of it is written.

      Example:
        attune reward score --model smollm2 --adapter runs/reward --input answers.jsonl --output scores.jsonl
      """)

  @OptionGroup var model: ModelArguments

  @Option(name: .shortAndLong, help: ArgumentHelp("The lines to score; “-” for standard input.", valueName: "file"))
  var input: String

  @Option(name: .shortAndLong, help: ArgumentHelp("Where the scores go; “-” for standard output.", valueName: "file"))
  var output: String

  @Option(help: ArgumentHelp("Tokens that pass through the model at once; a longer line passes alone.", valueName: "n"))
  var batchTokens = 4096

  @OptionGroup var weights: QuantizationArguments

  @OptionGroup var machine: MachineArguments

  func validate() throws {
    guard batchTokens > 0 else { throw ValidationError("--batch-tokens must be a number from 1, not \(batchTokens)") }
  }

  func run() throws {
    try SameFile.refuse(input: input, output: output, for: "the scores")
    let lines = try JSONLines.read(input, hint: RewardLine.hint) { place, value in try RewardLine(value, at: place) }
    let url = try ModelStore.standard.resolve(model.model.name)
    let files = try lines.contains(where: \.needsTokenizer) ? TextSide(url) : nil
    let weights = try model.loadWeights(machine, quantization: self.weights.quantization, scores: true)
    let text = files.map { weights.vocabulary?.text ?? $0 }
    guard weights.model.score != nil else {
      throw CommandError(
        "\(weights.path) has no head that scores texts: give a reward model, or the adapter of one with --adapter")
    }
    let rows = try encoded(lines, with: text, for: weights.model)
    try StopSignal.handling {
      if output == "-" {
        try score(rows, with: weights) { try Terminal.output.write($0) }
      } else {
        try AtomicFile.write(to: URL(filePath: output)) { sink in
          try score(rows, with: weights) { try sink.write($0) }
        }
      }
    }
  }

  /// The tokens of all lines, or an error that names those that cannot be used.
  private func encoded(_ lines: [RewardLine], with text: TextSide?, for model: any CausalLM) throws -> [RewardRow] {
    let hasTools = lines.contains(where: \.hasTools)
    let encoder = try text.map { text in
      try SampleEncoder(
        tokenizer: text.tokenizer, renderer: try text.template(hasTools: hasTools), settings: EncodingSettings(mask: .all))
    }
    var rows: [RewardRow] = []
    var problems: [String] = []
    for (index, line) in lines.enumerated() {
      do {
        let tokens = try line.tokens(encoder)
        try model.check(tokens, index: index, limit: model.tokenLimit)
        rows.append(RewardRow(place: line.place, tokens: tokens))
      } catch GenerationError.row(_, let problem) {
        problems.append("\(line.place): \(problem)")
      } catch {
        problems.append("\(line.place): \(error)")
      }
    }
    try JSONLines.refuse(problems)
    return rows
  }

  /// Scores batch by batch and hands the lines of each batch on.
  private func score(_ rows: [RewardRow], with weights: ModelWeights, write: (String) throws -> Void) throws {
    var scorer = Scorer(weights.model)
    scorer.tokensPerPass = batchTokens
    var start = 0
    while start < rows.count {
      try StopSignal.check()
      var (end, tokens) = (start + 1, rows[start].tokens.count)
      while end < rows.count, tokens + rows[end].tokens.count <= batchTokens {
        tokens += rows[end].tokens.count
        end += 1
      }
      let batch = rows[start..<end]
      try write(zip(batch, try scorer.rewards(batch.map(\.tokens))).map { try $0.line($1) }.joined())
      start = end
      Progress.show(start, of: rows.count, "lines scored")
    }
    Log.note("scored \(counted(rows.count, "line")), \(counted(rows.reduce(0) { $0 + $1.tokens.count }, "token"))")
  }
}

/// The tokens of a line.
private struct RewardRow {
  let place: String
  let tokens: [Int32]

  /// The line of the output.
  func line(_ scores: [Float]) throws -> String {
    let numbers = try scores.map { score -> JSON in
      guard score.isFinite, let shortest = Double("\(score)") else {
        throw CommandError("\(place): the score is no finite number; the weights or the adapter are damaged, or try --dtype f32")
      }
      return .double(shortest)
    }
    let line: JSON = numbers.count == 1 ? ["score": numbers[0]] : ["scores": .array(numbers)]
    return line.text(.python) + "\n"
  }
}
