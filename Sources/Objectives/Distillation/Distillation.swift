import Datasets
import NN
import Torch

/// Distillation: the student's distribution of each trained token is drawn to that of a teacher. Hinton et al., arXiv:1503.02531.
///
/// As a recipe has it, without the teacher; what trains is what ``taught(by:)`` gives.
public struct Distillation: Objective, Sendable {
  /// How.
  public let settings: DistillationSettings

  /// The objective with these settings.
  public init(_ settings: DistillationSettings = DistillationSettings()) { self.settings = settings }

  /// `distill`.
  public var name: String { "distill" }
  /// Texts and answers.
  public var learnsFrom: LearningMaterial { .texts }
  /// No: a student that says something else each time is held to what was asked of the teacher once.
  public var usesDropout: Bool { false }

  /// The trained tokens that something predicts.
  public func count(_ batch: Batch) -> Int { batch.trainedTokens }

  /// The objective with a teacher.
  public func taught(by teacher: any Teacher) -> TaughtDistillation { TaughtDistillation(settings, teacher: teacher) }

  /// Not without a teacher.
  ///
  /// - Throws: ``TeacherMissing``.
  public func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum { throw TeacherMissing() }
}

/// A distillation that was to start without a teacher.
public struct TeacherMissing: Error, CustomStringConvertible {
  /// The error.
  public init() {}

  /// What is missing.
  public var description: String {
    "distill has no teacher: name one as teacher, or a file of attune distill capture as teacher_file"
  }
}

/// What a student learns from.
public protocol Teacher {
  /// What it says after each place of `targets`, on `device`, without gradients.
  ///
  /// - Throws: what the teacher throws, and an error that names the sample where it knows nothing of one.
  func rows(_ batch: Batch, _ targets: TokenTargets, on device: Device) throws -> TaughtRows
}

/// What a teacher says of rows.
public enum TaughtRows {
  /// What its head takes [N, e], and the head.
  case hidden(Tensor, head: any Projection)
  /// Its likeliest tokens [N, k], and ln p of them at the student's temperature.
  case tokens(ids: Tensor, logProbs: Tensor)
}

/// A teacher that is held in memory beside the student.
public struct LiveTeacher: Teacher {
  /// The model with all that is at work in it.
  public let model: any CausalLM

  /// A model as it stands.
  public init(_ model: any CausalLM) { self.model = model }

  /// One pass of the model.
  public func rows(_ batch: Batch, _ targets: TokenTargets, on device: Device) throws -> TaughtRows {
    let hidden = try withoutGradients { () throws in
      try model.hidden(batch).squeezed(0).indexed(0, try Tensor(targets.places).to(model.device))
    }
    return .hidden(try hidden.to(device), head: model.head)
  }
}

/// Distillation with its teacher.
public struct TaughtDistillation: Objective {
  private let objective: Distillation
  private let teacher: any Teacher

  init(_ settings: DistillationSettings, teacher: any Teacher) {
    (objective, self.teacher) = (Distillation(settings), teacher)
  }

  /// `distill`.
  public var name: String { objective.name }
  /// Texts and answers.
  public var learnsFrom: LearningMaterial { objective.learnsFrom }
  /// No.
  public var usesDropout: Bool { objective.usesDropout }
  /// The trained tokens that something predicts.
  public func count(_ batch: Batch) -> Int { objective.count(batch) }

  /// The loss over the trained tokens; beside it the means of the distance, `kd_loss`, and of the cross-entropy, `class_loss`.
  public func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum {
    let targets = TokenTargets(batch)
    let rows = try model.hidden(batch).squeezed(0).indexed(0, try Tensor(targets.places).to(model.device))
    let taught = try teacher.rows(batch, targets, on: model.device)
    let tokens = try Tensor(targets.tokens).to(model.device)
    let sums = try model.distillation(rows, taught, targets: tokens, settings: objective.settings)
    let numbers = try sums.detached().array(Float.self)
    var figures = Figures()
    figures.add("kd_loss", sum: Double(numbers[1]), count: targets.tokens.count)
    figures.add("class_loss", sum: Double(numbers[2]), count: targets.tokens.count)
    return ObjectiveSum(try sums.selected(0, 0), figures)
  }
}
