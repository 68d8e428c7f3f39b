import Objectives
import Text

/// Whom a distillation learns from: a model that is loaded beside the student, or a file of `attune distill capture`.
public struct TeacherRecipe: Sendable, Hashable {
  /// The name or path of the model; beside a file, the model that the file has to be of.
  public var model: String?
  /// Adapters that are at work in it.
  public var adapters: [String] = []
  /// What its weights are kept in.
  public var quantization: Quantization?
  /// The file.
  public var file: String?

  /// No teacher.
  public init() {}
}

extension ObjectiveRecipe {
  /// `{type: distill, teacher: NAME, beta: 0.5, temperature: 1, kd_ratio: 1}`.
  static func distillation(_ node: RecipeNode) throws(RecipeError) -> (Distillation, TeacherRecipe) {
    var settings = DistillationSettings()
    let divergences = DistillationSettings.Divergence.allCases.map { (name: $0.rawValue, value: $0) }
    settings.divergence = try node.choice("loss_type", divergences) ?? settings.divergence
    let (beta, symmetric) = (try node.double("beta", in: 0...1), try node.double("sym_kd_ratio", in: 0...1))
    if beta != nil, settings.divergence != .generalizedJSD {
      throw node.error("beta", "is for loss_type generalized_jsd, not for \(settings.divergence.rawValue)")
    }
    if symmetric != nil, settings.divergence != .symmetricKL {
      throw node.error("sym_kd_ratio", "is for loss_type symmetric_kl, not for \(settings.divergence.rawValue)")
    }
    settings.beta = beta ?? settings.beta
    settings.symmetricRatio = symmetric ?? settings.symmetricRatio
    settings.temperature = try node.double("temperature", in: 1e-3...1e3) ?? settings.temperature
    settings.ratio = try node.double("kd_ratio", in: 0...1) ?? settings.ratio
    let teacher = try teacher(node)
    if let addsTail = try node.bool("loss_add_tail") {
      guard teacher.file != nil else {
        throw node.error("loss_add_tail", "is for a teacher_file, which holds the likeliest tokens alone")
      }
      settings.addsTail = addsTail
    }
    return (Distillation(settings), teacher)
  }

  private static func teacher(_ node: RecipeNode) throws(RecipeError) -> TeacherRecipe {
    var teacher = TeacherRecipe()
    teacher.model = try node.string("teacher")
    teacher.file = try node.string("teacher_file")
    teacher.adapters = try node.strings("teacher_adapter") ?? []
    if let quantization = try node.child("teacher_quantization", shorthand: "type") {
      teacher.quantization = try Quantization(quantization)
      try quantization.finish()
    }
    guard teacher.model != nil || teacher.file != nil else {
      throw node.error("teacher", "is missing: name a model, or give a file of attune distill capture as teacher_file")
    }
    guard teacher.file == nil || (teacher.adapters.isEmpty && teacher.quantization == nil) else {
      throw node.error("teacher_file", "says what was asked of a teacher; its adapter and quantization are those of the capture")
    }
    return teacher
  }

  /// The settings of a distillation as a recipe gives them.
  static func text(_ settings: DistillationSettings, _ teacher: TeacherRecipe) -> [(String, String)] {
    let (number, quoted) = ({ (value: Double) in JSON.python(value) }, { (text: String) in JSON.string(text).text() })
    var pairs: [(String, String)] = []
    if let model = teacher.model { pairs.append(("teacher", quoted(model))) }
    if let file = teacher.file { pairs.append(("teacher_file", quoted(file))) }
    if !teacher.adapters.isEmpty {
      pairs.append(("teacher_adapter", "[\(teacher.adapters.map(quoted).joined(separator: ", "))]"))
    }
    if let quantization = teacher.quantization { pairs.append(("teacher_quantization", quantization.yaml)) }
    pairs.append(("loss_type", settings.divergence.rawValue))
    switch settings.divergence {
    case .generalizedJSD: pairs.append(("beta", number(settings.beta)))
    case .symmetricKL: pairs.append(("sym_kd_ratio", number(settings.symmetricRatio)))
    case .forwardKL, .reverseKL: break
    }
    pairs += [("temperature", number(settings.temperature)), ("kd_ratio", number(settings.ratio))]
    if teacher.file != nil { pairs.append(("loss_add_tail", "\(settings.addsTail)")) }
    return pairs
  }
}
