import Generation
import Text

/// How rounds of generating, judging and tuning go: `objective: {type: rlaif}`.
///
/// Lee et al., “RLAIF vs. RLHF”, arXiv:2309.00267, with DPO in place of the reward model, as in Yuan et al., “Self-Rewarding Language
/// Models”, arXiv:2401.10020.
public struct FeedbackSettings: Sendable {
  /// What principles are used for.
  public enum Revision: String, Sendable, Hashable, CaseIterable {
    /// Answers are revised before they are judged.
    case beforeJudging = "before_judging"
    /// Nothing is judged: the model learns the revised answers.
    case sft
  }

  /// The name a recipe gives it.
  static let name = "rlaif"

  /// How often it goes round, from 1.
  public var rounds = 2
  /// Answers to a prompt, of which every two are judged, from 2; with `sft`, from 1.
  public var generations = 2
  /// Prompts of a round; nil for all of them in each. Rounds take one part after the other, and begin anew at the end.
  public var promptsPerRound: Int?
  /// How answers are sampled.
  public var sampling = SamplingSettings()
  /// Answers that are generated together.
  public var generationBatch = 8
  /// Who judges.
  public var judge: JudgeSettings
  /// What answers are criticised and revised by; empty for no revision.
  public var principles: [String] = []
  /// How often an answer is revised, each time by one of the principles.
  public var revisions = 1
  /// What the revised answers are for.
  public var revision = Revision.beforeJudging

  /// The defaults, with a judge.
  public init(judge: JudgeSettings) {
    self.judge = judge
    (sampling.temperature, sampling.maxNewTokens) = (1, 256)
  }

  /// Whether revised answers are learnt, and nothing is judged.
  var learnsRevisions: Bool { !principles.isEmpty && revision == .sft }

  /// Reads the keys of `objective` that are not the tuning's.
  init(_ node: RecipeNode, model: String) throws(RecipeError) {
    self.init(judge: try JudgeSettings(try node.child("judge", shorthand: "model"), default: model))
    rounds = try node.int("rounds", in: 1...10_000) ?? rounds
    promptsPerRound = try node.int("prompts_per_round", in: 1...1 << 40)
    sampling.temperature = try node.double("temperature", in: 1e-6...100) ?? sampling.temperature
    sampling.topP = try node.double("top_p", in: 1e-6...1) ?? sampling.topP
    sampling.topK = try node.int("top_k", in: 0...1 << 30) ?? sampling.topK
    sampling.maxNewTokens = try node.int("max_completion_length", in: 1...1 << 20) ?? sampling.maxNewTokens
    generationBatch = try node.int("generation_batch_size", in: 1...4096) ?? generationBatch
    principles = try node.strings("principles") ?? []
    revisions = try node.int("revisions", in: 1...100) ?? revisions
    revision = try node.choice("revise", Revision.allCases.map { ($0.rawValue, $0) }) ?? revision
    for key in ["revisions", "revise"] where principles.isEmpty && node.has(key) {
      throw node.error(key, "needs principles to revise by")
    }
    let least = learnsRevisions ? 1 : 2
    generations = try node.int("num_generations", in: least...64) ?? least
  }

  /// The settings as a recipe gives them.
  var pairs: [(String, String)] {
    var pairs = [("rounds", "\(rounds)"), ("num_generations", "\(generations)")]
    if let promptsPerRound { pairs.append(("prompts_per_round", "\(promptsPerRound)")) }
    pairs += [
      ("temperature", JSON.python(sampling.temperature)), ("top_p", JSON.python(sampling.topP)), ("top_k", "\(sampling.topK)"),
      ("max_completion_length", "\(sampling.maxNewTokens)"), ("generation_batch_size", "\(generationBatch)"),
    ]
    if !principles.isEmpty {
      pairs += [
        ("principles", "[\(principles.map { JSON.string($0).text() }.joined(separator: ", "))]"), ("revisions", "\(revisions)"),
        ("revise", revision.rawValue),
      ]
    }
    return pairs + (learnsRevisions ? [] : [("judge", judge.yaml)])
  }
}
