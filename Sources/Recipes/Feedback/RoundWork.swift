import Checkpoints
import Datasets
import Foundation
import Judging
import Objectives
import OrderedCollections
import Preferences
import Text
import Training

/// One round on its way: sampling, revising, judging, tuning. Each part takes up what is there already.
struct RoundWork {
  let round: FeedbackRound
  let recipe: Recipe
  let settings: FeedbackSettings
  let store: ModelStore
  /// The adapter that the round starts from; nil for the base.
  let start: URL?
  let anyBase: Bool
  let shouldStop: () -> Bool
  let observe: (FeedbackEvent) -> Void

  /// Does what is left of the round.
  func run(_ prompts: [FeedbackPrompt]) throws -> RoundFigures {
    try FileManager.default.createDirectory(at: round.folder, withIntermediateDirectories: true)
    var figures = RoundFigures(round: round.number, prompts: prompts.count)
    var answered = try sampled(prompts)
    figures.promptsTooLong = answered.count { $0.answers.isEmpty }
    figures.answers = answered.reduce(0) { $0 + $1.answers.count }
    if !settings.principles.isEmpty { figures.revised = try revise(&answered) }
    if settings.learnsRevisions {
      guard figures.revised > 0 else {
        throw RecipeError(
          "round \(round.number): no answer could be revised within the model's context; shorten prompts or answers")
      }
    } else {
      try judge(answered, &figures)
    }
    try tune(&figures)
    try round.finish(figures)
    return figures
  }

  private func say(_ text: String) { observe(.stage("round \(round.number): \(text)")) }

  /// Random numbers of their own for each round.
  private var seed: UInt64 { recipe.train.options.seed &+ UInt64(round.number) &* 0x9E37_79B9_7F4A_7C15 }

  private func policy() throws -> AnsweringPolicy {
    try AnsweringPolicy(
      recipe.model, adapter: start, anyBase: anyBase, options: recipe.train.model, store: store, settings: settings, seed: seed)
  }

  // MARK: Answers

  private func sampled(_ prompts: [FeedbackPrompt]) throws -> [SampledPrompt] {
    let sampling = AnswerSampling(prompts: prompts, count: settings.generations, log: round.answers)
    say("\(settings.generations) answers to each of \(prompts.count) prompts")
    return try sampling.run(policy, shouldStop: shouldStop) { observe(.progress($0, of: prompts.count, "prompts answered")) }
  }

  /// Puts revised answers in place of those that were sampled, and writes them as data to learn.
  ///
  /// - Returns: how many were revised.
  private func revise(_ answered: inout [SampledPrompt]) throws -> Int {
    let flat = answered.indices.flatMap { prompt in answered[prompt].answers.indices.map { (prompt: prompt, answer: $0) } }
    let known = try round.revisions.read()
    var lines = known
    if known.count < flat.count {
      say("revising \(flat.count) answers by \(settings.principles.count) principles")
      let constitution = Constitution(principles: settings.principles, policy: try policy())
      for start in stride(from: known.count, to: flat.count, by: settings.generationBatch) {
        if shouldStop() { throw FeedbackStopped() }
        let places = Array(start..<min(start + settings.generationBatch, flat.count))
        let pairs = places.map {
          (prompt: answered[flat[$0].prompt].prompt, answer: answered[flat[$0].prompt].answers[flat[$0].answer])
        }
        let new = try revisions(of: pairs, places, constitution)
        try round.revisions.append(new)
        lines += new
        observe(.progress(lines.count, of: flat.count, "answers revised"))
      }
    }
    var rows: [JSON] = []
    for (place, line) in zip(flat, lines) {
      guard let text = line["revision"]?.string else { continue }
      answered[place.prompt].answers[place.answer] = text
      let prompt = answered[place.prompt].prompt
      rows.append(["prompt": prompt.passage.json, "completion": prompt.answer(text).json])
    }
    try AtomicFile.write(rows.map { $0.text() + "\n" }.joined(), to: round.revised)
    return rows.count
  }

  /// Revises answers as often as the recipe says; a revision that fails leaves the last one.
  private func revisions(
    of answers: [(prompt: FeedbackPrompt, answer: String)], _ places: [Int], _ constitution: Constitution
  ) throws -> [JSON] {
    var current = answers
    var steps: [[JSON]] = answers.map { _ in [] }
    for turn in 0..<settings.revisions {
      // Apart from the numbers of the answers themselves.
      let streams = places.map { 1 << 40 + UInt64($0 * settings.revisions + turn) }
      let revised = try constitution.revised(current, streams: streams, shouldStop: shouldStop)
      for (index, revision) in revised.enumerated() {
        guard let revision else { continue }
        current[index].answer = revision.answer
        steps[index].append([
          "principle": .string(revision.principle), "critique": .string(revision.critique), "revision": .string(revision.answer),
        ])
      }
    }
    return zip(answers, zip(current, steps)).map { before, after in
      [
        "prompt": before.prompt.passage.json, "answer": .string(before.answer), "steps": .array(after.1),
        "revision": after.1.isEmpty ? .null : .string(after.0.answer),
      ]
    }
  }

  // MARK: Verdicts

  private func judge(_ answered: [SampledPrompt], _ figures: inout RoundFigures) throws {
    let pairs = try PreferenceStore(round.store.path)
    for prompt in answered where prompt.answers.count > 1 {
      let tools = prompt.prompt.tools.map { JSON.array($0).text() }
      try pairs.add(
        prompt.prompt.passage, tools: tools, answers: prompt.answers.map(prompt.prompt.answer), source: prompt.prompt.place)
    }
    try pairs.register(settings.judge.rater)
    let waiting = try AnswerOrder.allCases.reduce(0) {
      try $0 + pairs.pairs(awaiting: settings.judge.rater.name, shown: $1).count
    }
    if waiting > 0, !FileManager.default.fileExists(atPath: round.tuning.path) {
      say("\(waiting) questions to \(settings.judge.rater.name)")
      try ask(pairs)
    }
    let export = try PreferenceExport(pairs)
    let statistics = try PreferenceStatistics(pairs)
    figures.count(export, statistics)
    guard !export.rows.isEmpty else {
      throw RecipeError(
        "round \(round.number): the judge prefers no answer to another, \(export.ties) ties and \(figures.failures) failures on "
          + "\(statistics.pairs) pairs, so that there is nothing to learn. `attune label stats --store \(round.store.path)` shows its "
          + "verdicts; give another judge or rubric, or combine: mean")
    }
    try AtomicFile.write(export.rows.map { $0.text() + "\n" }.joined(), to: round.preferences)
    say("\(export.rows.count) preferences, \(export.ties) ties, \(figures.failures) failures")
  }

  private func ask(_ pairs: PreferenceStore) throws {
    let judge = try settings.judge.judge(options: recipe.train.model, store: store, anyBase: anyBase)
    var run = JudgeRun(pairs, as: settings.judge.rater, judge: judge)
    run.failureLimit = settings.judge.failureLimit
    let report = try run.run(shouldStop: shouldStop) {
      observe(.progress($0.judged + $0.failed, of: $0.total, "questions judged"))
    }
    let kept = "\(report.judged) verdicts are kept in \(round.store.path); once that is mended, go on with --resume"
    switch report.ending {
    case nil: break
    case .stopped: throw FeedbackStopped()
    case .refused(let words): throw RecipeError("objective.judge: \(words). \(kept)")
    case .failing(let count, let words):
      throw RecipeError("objective.judge: \(count) questions in a row failed, the last one since \(words). \(kept)")
    }
  }

  // MARK: Tuning

  /// The round's part of the run, as a recipe of its own.
  private var tuning: Recipe {
    var own = recipe
    own.objective.feedback = nil
    let data = settings.learnsRevisions ? round.revised : round.preferences
    own.data.train = [DataSource(path: data.path, format: settings.learnsRevisions ? "prompt-completion" : "preference")]
    own.method.initFrom = start?.path ?? recipe.method.initFrom
    own.output = round.tuning.path
    return own
  }

  private func tune(_ figures: inout RoundFigures) throws {
    let manager = FileManager.default
    let checkpoints = (try? manager.contentsOfDirectory(atPath: round.tuning.appending(path: "checkpoints").path)) ?? []
    let resuming = checkpoints.contains { $0.hasPrefix("step-") }
    say(resuming ? "tuning goes on" : "tuning")
    let run = TuneRun(tuning, store: store)
    run.anyBase = anyBase
    try run.check(resuming: resuming, overwriting: !resuming)
    let observe = observe
    let result = try run.run(
      resuming: resuming, shouldStop: shouldStop, announce: { plan in observe(.stage(plan.summary)) },
      observe: { observe(.tuning($0)) })
    figures.steps = result.training.state.step
    figures.loss = result.training.rows.last { $0.loss != nil }?.loss
    figures.rewardAccuracy =
      result.training.rows.last { $0.figures?["rewards/accuracies"] != nil }?.figures?["rewards/accuracies"]
  }
}

extension RoundFigures {
  init(round: Int, prompts: Int) { (self.round, self.prompts) = (round, prompts) }

  fileprivate mutating func count(_ export: PreferenceExport, _ statistics: PreferenceStatistics) {
    pairs = statistics.pairs
    (preferences, ties) = (export.rows.count, export.ties)
    if let rater = statistics.raters.first(where: { $0.rater.kind == .judge }) {
      verdicts = rater.choices.values.reduce(0, +)
      failures = rater.failures.count
      (bothOrders, consistent, decided, choseFirst) = (rater.bothOrders, rater.consistent, rater.decided, rater.choseFirst)
    }
    let words = { (key: String) -> Double? in
      let counts = export.rows.compactMap { row in
        row[key].flatMap { try? Passage($0) }?.plain.split(whereSeparator: \.isWhitespace).count
      }
      return counts.isEmpty ? nil : Double(counts.reduce(0, +)) / Double(counts.count)
    }
    (chosenWords, rejectedWords) = (words("chosen"), words("rejected"))
  }
}
