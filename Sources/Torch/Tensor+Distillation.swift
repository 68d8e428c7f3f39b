import CTorch

/// What a teacher says of N rows of a student.
public enum TeacherRows {
  /// What its head takes [N, e], and that head: weight [V, e], bias [V]. Its logits are made some rows at a time.
  case head(hidden: Tensor, weight: Tensor, bias: Tensor? = nil)
  /// Its logits [N, V].
  case logits(Tensor)
  /// Some tokens of each row [N, k], int32 or int64, no token twice, and ln p of them at the student's temperature. All other tokens are
  /// one class more where `addsTail` is true; else the k tokens are all there are, and both models' probabilities are divided by what
  /// these sum to.
  case tokens(ids: Tensor, logProbs: Tensor, addsTail: Bool)

  fileprivate var operands: [Tensor] {
    switch self {
    case .head(let hidden, let weight, let bias): [hidden, weight] + (bias.map { [$0] } ?? [])
    case .logits(let logits): [logits]
    case .tokens(let ids, let logProbs, _): [ids, logProbs]
    }
  }

  /// The handles, for the length of a call with the operands.
  fileprivate var raw: ct_teacher {
    var teacher = ct_teacher()
    switch self {
    case .head(let hidden, let weight, let bias):
      (teacher.hidden, teacher.weight, teacher.bias) = (hidden.raw, weight.raw, bias?.raw ?? ct_tensor())
    case .logits(let logits): teacher.logits = logits.raw
    case .tokens(let ids, let logProbs, let addsTail):
      (teacher.ids, teacher.log_probs, teacher.adds_tail) = (ids.raw, logProbs.raw, addsTail)
    }
    return teacher
  }
}

/// How far a student with probabilities s is from a teacher with probabilities t, and how strongly that counts beside the
/// cross-entropy: share·(forward·KL(t‖s) + reverse·KL(s‖t) + jensenShannon·JSD) + (1 − share)·cross-entropy.
///
/// JSD = β·KL(t‖m) + (1 − β)·KL(s‖m) with m = β·t + (1 − β)·s, for 0 < β < 1.
public struct DistillationLoss: Sendable, Hashable {
  /// The factor of KL(t‖s).
  public var forward = 0.0
  /// The factor of KL(s‖t).
  public var reverse = 0.0
  /// The factor of the Jensen-Shannon divergence.
  public var jensenShannon = 0.0
  /// The teacher's share of the mixture.
  public var beta = 0.5
  /// What the logits of both are divided by in the divergence, above 0.
  public var temperature = 1.0
  /// The divergence's share of the loss, 0 … 1.
  public var share = 1.0

  /// No divergence yet.
  public init() {}

  fileprivate var raw: ct_distillation {
    ct_distillation(
      forward: forward, reverse: reverse, jensen_shannon: jensenShannon, beta: beta, temperature: temperature, share: share)
  }
}

extension Tensor {
  /// Sums over rows [3], float32: the loss, the divergence in it, the cross-entropy in it. A gradient comes through the first alone.
  ///
  /// self [N, d]; weight [V, d]; bias [V]; targets [N] int64. Neither model's logits are ever whole: they exist for `chunk` rows at a
  /// time, and the gradients are made along with them.
  public func linearDistillation(
    weight: Tensor, bias: Tensor? = nil, teacher: TeacherRows, targets: Tensor, loss: DistillationLoss, chunk: Int = 256
  ) throws(TorchError) -> Tensor {
    try Tensor.make("linear_distillation", list: [self, weight, targets] + (bias.map { [$0] } ?? []) + teacher.operands) {
      ct_linear_distillation(
        raw, weight.raw, bias?.raw ?? ct_tensor(), teacher.raw, targets.raw, loss.raw, Int64(chunk), $0)
    }
  }

  /// The same sums for logits [N, V] that are there.
  public func logitDistillation(teacher: TeacherRows, targets: Tensor, loss: DistillationLoss) throws(TorchError) -> Tensor {
    try Tensor.make("logit_distillation", list: [self, targets] + teacher.operands) {
      ct_logit_distillation(raw, teacher.raw, targets.raw, loss.raw, $0)
    }
  }
}
