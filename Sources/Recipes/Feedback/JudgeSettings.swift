import Foundation
import Judging
import Preferences
import Text

/// Who judges, by what, and how its verdicts make opinions.
public struct JudgeSettings: Sendable {
  /// Where a judge is.
  public enum Source: Sendable {
    /// A model that Attune loads, with adapters.
    case local(model: String, adapters: [WeightedAdapter])
    /// A model behind an endpoint.
    case endpoint(EndpointSettings)
  }

  /// Where it is.
  public var source: Source
  /// What it judges by.
  public var rubric = Rubric.standard
  /// How its verdicts in both orders make one opinion; nil for the mean of probabilities where it gives them, else agreement.
  public var combination: Rater.Combination?
  /// Its name as a rater; nil for the model's.
  public var name: String?
  /// Failures one after the other that end a run.
  public var failureLimit = 10

  /// A judge with the standard rubric.
  public init(_ source: Source) { self.source = source }

  /// The judge as a rater.
  public var rater: Rater {
    let (model, standard): (String, Rater.Combination) =
      switch source {
      case .local(let model, let adapters):
        (([model] + adapters.map { "\($0.folder)=\($0.weight)" }).joined(separator: " + "), .mean(margin: 0))
      case .endpoint(let endpoint): ("\(endpoint.model) at \(endpoint.base.absoluteString)", .agreement)
      }
    return Rater(
      name ?? "judge \(shortName)", kind: .judge, model: model, rubric: rubric.text, combination: combination ?? standard)
  }

  private var shortName: String {
    switch source {
    case .local(let model, _): URL(filePath: model).deletingPathExtension().lastPathComponent
    case .endpoint(let endpoint): endpoint.model
    }
  }

  /// The judge at work: a local model is loaded.
  ///
  /// - Parameters:
  ///   - options: how a local model is loaded.
  ///   - store: where names of models are looked up.
  ///   - anyBase: take adapters that were trained on other weights, too.
  /// - Throws: what loading throws.
  public func judge(
    options: ModelOptions = ModelOptions(), store: ModelStore = .standard, anyBase: Bool = false
  ) throws -> any Judge {
    switch source {
    case .endpoint(let endpoint): return EndpointJudge(endpoint, rubric: rubric)
    case .local(let name, let adapters):
      let model = try LoadedModel(name, options: options, store: store)
      try model.load(weighted: adapters, anyBase: anyBase)
      let hasTemplate = try model.text.template() != nil
      // The closure keeps the model with its adapters.
      return LocalJudge(
        model.model, tokenizer: model.text.tokenizer, rubric: rubric,
        template: hasTemplate ? { try model.text.encode($0) } : nil)
    }
  }
}
