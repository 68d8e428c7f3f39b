import Checkpoints
import Foundation
import NN
import OrderedCollections
import Text
import Torch

/// The head that scores texts, as a part of adapters: PEFT trains it with every adapter whose `task_type` is `SEQ_CLS` or `TOKEN_CLS`.
extension Adapter {
  /// What PEFT calls the head in models of one architecture or another.
  static let scoreHeadNames = ["classifier", "score"]

  /// Whether it brings a score head.
  public var hasScoreHead: Bool { parts.contains { $0.replaced.contains(Self.scoreWeight) } }

  /// The form of that head; nil where it brings none.
  var scoreHead: ScoreHeadShape? {
    let own = parts.flatMap(\.trained)
    guard let weight = own.first(where: { $0.path == Self.scoreWeight })?.value else { return nil }
    return ScoreHeadShape(labels: weight.shape[0], hasBias: own.contains { $0.path == "score.bias" })
  }

  private static let scoreWeight = "score.weight"

  /// The same with a copy of the model's score head, unless it has one already.
  ///
  /// - Throws: ``TunerError`` where the model has no such head, or the method's files have no place for one.
  func withScoreHead(of model: any CausalLM) throws -> Adapter {
    guard !hasScoreHead else { return self }
    guard configuration.files != .adapterHub else {
      throw TunerError(
        "“\(configuration.name)” is kept in AdapterHub's files, which have no place for a score head; lora, full and the other methods "
          + "of PEFT's have one")
    }
    // PEFT wraps the layers of a model, but puts virtual tokens before one that it leaves as it is.
    let overlay =
      configuration is any PromptMethod ? ParameterOverlay(savedUnder: "base_model.") : ParameterOverlay()
    for (path, slot, _) in model.parameters() where path.hasPrefix("score.") { try overlay.add(path, slot) }
    guard !overlay.replaced.isEmpty else { throw TunerError("the model has no head that scores texts") }
    return Adapter(name: name, configuration: configuration, parts: parts + [overlay], companion: companion)
  }
}

extension AdapterSet {
  /// Puts an adapter that was installed without a score head in the place of itself with one.
  func addScoreHead(to adapter: Adapter) throws -> Adapter {
    let whole = try adapter.withScoreHead(of: model)
    guard let place = adapters.firstIndex(where: { $0 === adapter }), whole !== adapter else { return adapter }
    adapters[place] = whole
    try activate(uses: uses)
    return whole
  }
}

extension AdapterFolder {
  /// The settings of an adapter with such a head without the names of that: it is a part that every method has.
  static func withoutScoreHead(_ json: JSON) -> JSON {
    guard scoringTasks.contains(json["task_type"]?.string ?? ""), var members = json.object,
      let modules = members["modules_to_save"]?.array
    else { return json }
    let others = modules.filter { !Adapter.scoreHeadNames.contains($0.string ?? "") }
    members["modules_to_save"] = others.isEmpty ? .null : .array(others)
    return .object(members)
  }

  private static let scoringTasks = ["SEQ_CLS", "TOKEN_CLS"]

  /// What PEFT's `task_type` says of adapters with such a head.
  static func taskType(_ shape: ScoreHeadShape) -> String { shape.hasBias ? "TOKEN_CLS" : "SEQ_CLS" }

  /// The score head that an adapter's folder holds; nil where it holds none, as one for a model that predicts tokens.
  ///
  /// - Throws: ``TunerError`` where the settings say that there is one and the tensors lack it.
  public static func scoreHead(_ folder: URL) throws -> ScoreHeadShape? {
    guard let url = settings(folder), let task = try JSONFile.object(at: url)["task_type"]?.string,
      scoringTasks.contains(task)
    else { return nil }
    let file = try SafetensorsFile(weights(folder))
    guard let name = file.names.first(where: { $0.hasSuffix(".score.weight") }), let labels = file.info(name)?.shape.first else {
      throw TunerError("\(url.path): “task_type” is \(task), and \(file.path) holds no “score.weight”")
    }
    return ScoreHeadShape(labels: labels, hasBias: file.names.contains { $0.hasSuffix(".score.bias") })
  }
}
