import ArgumentParser
import Checkpoints
import Datasets
import Foundation
import Generation
import NN
import Recipes
import Text

/// `attune score`: how likely the model finds given texts, token by token.
struct Score: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Give the log-probability of each token of given texts.",
    discussion: """
      A line of the input is {"text": …} or {"tokens": […]}; other keys are left alone, empty lines are skipped. “adapter” \
      names those of the --adapter that it is scored with: a name, a list, {name: weight}, or null for none; “task” names the \
      task of one that knows several. For each line the output has a line {"tokens": […], "logprobs": [null, …]}: ln p(token i \
      | tokens before it). No special tokens are added. The output file appears when all of it is written.

      Example:
        attune score --model smollm2 --input texts.jsonl --output scores.jsonl
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
    let lines = try ScoreLine.read(input)
    let url = try ModelStore.standard.resolve(model.model.name)
    // Lines of tokens need no tokenizer, and some models have none.
    let fileTokenizer = try lines.contains(where: \.isText) ? TextSide(url).tokenizer : nil
    let weights = try model.loadWeights(machine, quantization: self.weights.quantization)
    let tokenizer = fileTokenizer.map { weights.vocabulary?.text.tokenizer ?? $0 }
    let rows = try lines.map { try $0.row(tokenizer) }
    try RequestAdapter.check(rows.map { ($0.place, $0.adapter) }, against: weights.adapters)
    try check(rows, against: weights)
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

  /// Refuses rows that the model cannot take, before any is scored.
  private func check(_ rows: [ScoreRow], against weights: ModelWeights) throws {
    let model = weights.model
    let problems = rows.compactMap { row -> String? in
      guard !row.tokens.isEmpty else { return nil }
      let virtual = row.adapter.virtualTokens(weights.adapters)
      let limit = model.tokenLimit(behind: virtual)
      do throws(GenerationError) { try model.check(row.tokens, index: 0, limit: limit, virtual: virtual) } catch {
        if case .row(_, let problem) = error { return "\(row.place): \(problem)" }
        return "\(row.place): \(error)"
      }
      return nil
    }
    try JSONLines.refuse(problems)
  }

  /// Scores batch by batch and hands the lines of each batch on.
  private func score(_ rows: [ScoreRow], with weights: ModelWeights, write: (String) throws -> Void) throws {
    var scorer = Scorer(weights.model)
    scorer.tokensPerPass = batchTokens
    var start = 0
    while start < rows.count {
      try StopSignal.check()
      let end = batchEnd(rows, from: start)
      let batch = rows[start..<end]
      let scores = try RequestAdapter.serving(batch.map(\.adapter), with: weights.adapters) { routing in
        scorer.routing = routing
        return try scorer.logProbs(batch.map(\.tokens))
      }
      try write(zip(batch, scores).map { try $0.line($1) }.joined())
      start = end
      Progress.show(start, of: rows.count, "lines scored")
    }
    Log.note("scored \(counted(rows.count, "line")), \(counted(rows.reduce(0) { $0 + $1.tokens.count }, "token"))")
  }

  /// As many rows as fill one pass; one at least.
  private func batchEnd(_ rows: [ScoreRow], from start: Int) -> Int {
    var (end, tokens) = (start + 1, rows[start].tokens.count)
    while end < rows.count, tokens + rows[end].tokens.count <= batchTokens {
      tokens += rows[end].tokens.count
      end += 1
    }
    return end
  }
}

/// A line of the input.
private struct ScoreLine {
  enum Content {
    case text(String)
    case tokens([Int32])
  }

  /// `file:line`.
  let place: String
  let content: Content
  /// Which adapters it is scored with.
  let adapter: RequestAdapter

  var isText: Bool { if case .text = content { true } else { false } }

  func row(_ tokenizer: BPETokenizer?) throws -> ScoreRow {
    switch content {
    case .tokens(let tokens): return ScoreRow(place: place, tokens: tokens, adapter: adapter)
    case .text(let text):
      return ScoreRow(
        place: place, tokens: tokenizer?.encode(text, addSpecialTokens: false) ?? [], adapter: adapter)
    }
  }

  /// Reads all lines.
  ///
  /// - Throws: ``CommandError`` that names the bad lines, or says that there are none at all.
  static func read(_ path: String) throws -> [ScoreLine] {
    try JSONLines.read(path, hint: "give {\"text\": …} or {\"tokens\": […]} on each") { place, value in
      ScoreLine(place: place, content: try content(of: value), adapter: try RequestAdapter(of: value))
    }
  }

  private static func content(of value: JSON) throws -> Content {
    switch (value["text"], value["tokens"]) {
    case (.string(let text)?, nil): return .text(text)
    case (nil, .array(let list)?):
      return .tokens(
        try list.map { element in
          guard let id = element.int.flatMap({ Int32(exactly: $0) }) else {
            throw CommandError("“tokens” holds \(element.text()), which is no token id")
          }
          return id
        })
    case (.some, .some): throw CommandError("has both “text” and “tokens”; give one of them")
    case (.some, nil): throw CommandError("“text” is not text")
    case (nil, .some): throw CommandError("“tokens” is not a list")
    case (nil, nil): throw CommandError("has neither “text” nor “tokens”")
    }
  }
}

/// The tokens of a line.
private struct ScoreRow {
  let place: String
  let tokens: [Int32]
  let adapter: RequestAdapter

  /// The line of the output.
  func line(_ scores: [Float?]) throws -> String {
    let logProbs = try scores.map { score -> JSON in
      guard let score else { return .null }
      guard score.isFinite, let shortest = Double("\(score)") else {
        throw CommandError(
          "\(place): the model's scores are no finite numbers; its weights or its adapter are damaged, or try --dtype f32")
      }
      return .double(shortest)
    }
    let line: JSON = ["tokens": .array(tokens.map { .int(Int($0)) }), "logprobs": .array(logProbs)]
    return line.text(.python) + "\n"
  }
}
