import Objectives
import Text

/// The part `objective:` of a recipe.
public struct ObjectiveRecipe: Sendable {
  /// The objective with its settings.
  public var objective: any Objective & Sendable
  /// How rounds of generating, judging and tuning go, where the recipe asks for them: the objective is what they tune by.
  public var feedback: FeedbackSettings?
  /// Whom a distillation learns from.
  public var teacher = TeacherRecipe()
  /// How answers are drawn and what they are worth, where the model itself gives them.
  public var reinforcement: ReinforcementRecipe?

  /// The model that is measured against, by name or path; nil for the run's own as it is before the first step.
  public var referenceModel: String?
  /// The adapters of that model, by their folders.
  public var referenceAdapters: [String] = []

  /// An objective with its settings.
  public init(_ objective: any Objective & Sendable = SupervisedFineTuning()) { self.objective = objective }

  private static let lossNames = PreferenceLoss.allCases.map(\.rawValue)

  /// - Parameter model: the recipe's model, which judges itself where `rlaif` names no other judge.
  init(_ node: RecipeNode?, model: String) throws(RecipeError) {
    self.init()
    guard let node else { return }
    let name = try node.choice("type", (Objectives.names + [FeedbackSettings.name]).map { ($0, $0) })
    if name == FeedbackSettings.name {
      let settings = try FeedbackSettings(node, model: model)
      feedback = settings
      if !settings.learnsRevisions { objective = DirectPreference() }
    }
    objective = name.flatMap(Objectives.make) ?? objective
    switch objective {
    case is DirectPreference: objective = DirectPreference(try Self.preference(node))
    case let free as ReferenceFreePreference: objective = try Self.referenceFree(free, node)
    case let kto as KTO: objective = try Self.kto(kto, node)
    case var reward as RewardModeling:
      reward.centerRewardsCoefficient = try node.double("center_rewards_coefficient", in: 0...1e6)
      objective = reward
    case is Distillation: (objective, teacher) = try Self.distillation(node)
    case is OnlinePreference: objective = OnlinePreference(try Self.preference(node))
    default: break
    }
    if objective.needsReference {
      referenceModel = try node.string("reference_model")
      referenceAdapters = try node.strings("reference_adapter") ?? []
      guard referenceModel != nil || referenceAdapters.isEmpty else {
        throw node.error("reference_adapter", "needs reference_model, the model that it belongs to")
      }
    }
    if objective.learnsFrom == .prompts { reinforcement = try ReinforcementRecipe(&objective, node) }
    try node.finish()
  }

  private static func preference(_ node: RecipeNode) throws(RecipeError) -> PreferenceSettings {
    var settings = PreferenceSettings()
    settings.beta = try node.double("beta", in: 1e-6...1e6) ?? settings.beta
    settings.labelSmoothing = try node.double("label_smoothing", in: 0...0.499) ?? 0
    settings.discoPOPTau = try node.double("discopop_tau", in: 1e-6...1e6) ?? settings.discoPOPTau
    if let names = try node.strings("loss_type") {
      settings.losses = []
      for name in names {
        guard let loss = PreferenceLoss(rawValue: name) else {
          let hint = nearestName(to: name, among: lossNames).map { "; did you mean “\($0)”?" } ?? ""
          throw node.error("loss_type", "holds “\(name)”; known are \(lossNames.joined(separator: ", "))\(hint)")
        }
        settings.losses.append(PreferenceSettings.Weighted(loss))
      }
      guard !settings.losses.isEmpty else { throw node.error("loss_type", "is empty: name a loss") }
    }
    if let weights = try node.doubles("loss_weights") {
      guard weights.count == settings.losses.count else {
        throw node.error("loss_weights", "has \(weights.count) numbers for \(settings.losses.count) losses: give one for each")
      }
      for (place, weight) in weights.enumerated() { settings.losses[place].weight = weight }
    }
    let alpha = try node.double("f_alpha_divergence_coef", in: -100...100) ?? 0.5
    let divergences: [(name: String, value: PreferenceDivergence)] = [
      ("reverse_kl", .reverseKL), ("forward_kl", .forwardKL), ("js_divergence", .jensenShannon),
      ("alpha_divergence", .alpha(alpha)),
    ]
    settings.divergence = try node.choice("f_divergence_type", divergences) ?? .reverseKL
    guard settings.labelSmoothing > 0 || !settings.losses.contains(where: { $0.loss == .exoPair }) else {
      throw node.error(
        "label_smoothing", "must be above 0 for the loss exo_pair, which is a distance to [1 − ε, ε]; 1e-3 is usual")
    }
    if settings.divergence != .reverseKL,
      let other = settings.losses.map(\.loss).first(where: { !$0.allowsDivergences })
    {
      throw node.error(
        "f_divergence_type", "must be reverse_kl for the loss \(other.rawValue), which is not one of score differences")
    }
    return settings
  }

  private static func referenceFree(
    _ start: ReferenceFreePreference, _ node: RecipeNode
  ) throws(RecipeError) -> ReferenceFreePreference {
    var objective = start
    objective.beta = try node.double("beta", in: 1e-6...1e6) ?? objective.beta
    if start.kind == .cpo { objective.alpha = try node.double("cpo_alpha", in: 0...1e6) ?? objective.alpha }
    if start.kind == .simpo { objective.gamma = try node.double("simpo_gamma", in: 0...1e6) ?? objective.gamma }
    if start.kind != .orpo { objective.labelSmoothing = try node.double("label_smoothing", in: 0...0.499) ?? 0 }
    return objective
  }

  private static func kto(_ start: KTO, _ node: RecipeNode) throws(RecipeError) -> KTO {
    var objective = start
    objective.beta = try node.double("beta", in: 1e-6...1e6) ?? objective.beta
    objective.loss = try node.choice("loss_type", KTO.Loss.allCases.map { ($0.rawValue, $0) }) ?? objective.loss
    objective.desirableWeight = try node.double("desirable_weight", in: 0...1e6) ?? objective.desirableWeight
    objective.undesirableWeight = try node.double("undesirable_weight", in: 0...1e6) ?? objective.undesirableWeight
    return objective
  }

  /// The objective as a recipe gives it.
  var yaml: String {
    let reference = referenceModel.map { model in
      [("reference_model", JSON.string(model).text())]
        + (referenceAdapters.isEmpty ? [] : [("reference_adapter", JSON.array(referenceAdapters.map(JSON.string)).text())])
    }
    let start = feedback.map { [("type", FeedbackSettings.name)] + $0.pairs } ?? [("type", objective.name)]
    let pairs = start + settings + (reference ?? []) + (reinforcement?.lines(objective) ?? [])
    return "{ \(pairs.map { "\($0.0): \($0.1)" }.joined(separator: ", ")) }"
  }

  private var settings: [(String, String)] {
    let number = { (value: Double) in JSON.python(value) }
    if let distillation = objective as? Distillation { return Self.text(distillation.settings, teacher) }
    if let free = objective as? ReferenceFreePreference {
      let own =
        switch free.kind {
        case .cpo: [("cpo_alpha", number(free.alpha))]
        case .simpo: [("simpo_gamma", number(free.gamma))]
        case .orpo: [(String, String)]()
        }
      return [("beta", number(free.beta))] + own
        + (free.kind == .orpo ? [] : [("label_smoothing", number(free.labelSmoothing))])
    }
    if let kto = objective as? KTO {
      return [
        ("beta", number(kto.beta)), ("loss_type", kto.loss.rawValue), ("desirable_weight", number(kto.desirableWeight)),
        ("undesirable_weight", number(kto.undesirableWeight)),
      ]
    }
    if let center = (objective as? RewardModeling)?.centerRewardsCoefficient {
      return [("center_rewards_coefficient", number(center))]
    }
    guard let dpo = (objective as? DirectPreference)?.settings ?? (objective as? OnlinePreference)?.settings else { return [] }
    let divergence: [(String, String)] =
      switch dpo.divergence {
      case .reverseKL: [("f_divergence_type", "reverse_kl")]
      case .forwardKL: [("f_divergence_type", "forward_kl")]
      case .jensenShannon: [("f_divergence_type", "js_divergence")]
      case .alpha(let alpha): [("f_divergence_type", "alpha_divergence"), ("f_alpha_divergence_coef", number(alpha))]
      }
    return [
      ("beta", number(dpo.beta)), ("loss_type", "[\(dpo.losses.map(\.loss.rawValue).joined(separator: ", "))]"),
      ("loss_weights", "[\(dpo.losses.map { number($0.weight) }.joined(separator: ", "))]"),
      ("label_smoothing", number(dpo.labelSmoothing)), ("discopop_tau", number(dpo.discoPOPTau)),
    ] + divergence
  }
}
