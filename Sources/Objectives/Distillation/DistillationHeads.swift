import NN
import Torch

extension CausalLM {
  /// Sums over rows [3]: loss, distance, cross-entropy, with a gradient through the first. The logits of student and teacher exist for
  /// some rows at a time, 32 MB each in float32.
  ///
  /// hidden [N, d], what the student's head takes; targets [N] int64. Where the two vocabularies have rows of no token behind them, and
  /// not equally many, those of one alone do not count.
  ///
  /// - Throws: what the operations throw.
  func distillation(
    _ hidden: Tensor, _ taught: TaughtRows, targets: Tensor, settings: DistillationSettings, chunk: Int? = nil
  ) throws -> Tensor {
    var vocabulary = shape.vocabularySize
    if case .hidden(_, let head) = taught { vocabulary = min(vocabulary, head.outputSize) }
    let chunk = chunk ?? max(1, (1 << 23) / vocabulary)
    if let head = head as? Linear, let numbers = try head.linearWeight(for: hidden.dtype),
      let teacher = try taught.plain(vocabulary, settings)
    {
      return try hidden.linearDistillation(
        weight: try numbers.weight.first(vocabulary), bias: try numbers.bias?.first(vocabulary), teacher: teacher,
        targets: targets, loss: settings.loss, chunk: chunk)
    }
    var sum = try Tensor.zeros([3], device: hidden.device)
    let count = try targets.size(0)
    for start in stride(from: 0, to: count, by: chunk) {
      let rows = start..<min(start + chunk, count)
      let (taught, wanted) = (try taught.narrowed(rows), try targets.narrowed(0, rows))
      let student = head
      let part = try checkpointed([try hidden.narrowed(0, rows)], outputs: 1) { hidden throws(TorchError) in
        let logits = try student.forward(hidden[0]).narrowed(1, 0..<vocabulary)
        return [
          try logits.logitDistillation(
            teacher: try taught.logits(vocabulary, settings), targets: wanted, loss: settings.loss)
        ]
      }
      sum = try sum + part[0]
    }
    return sum
  }
}

extension Tensor {
  /// The first rows of a table, or numbers of a list.
  fileprivate func first(_ count: Int) throws(TorchError) -> Tensor {
    try size(0) == count ? self : try narrowed(0, 0..<count)
  }
}

extension TaughtRows {
  /// The same of some rows.
  fileprivate func narrowed(_ rows: Range<Int>) throws(TorchError) -> TaughtRows {
    switch self {
    case .hidden(let hidden, let head): .hidden(try hidden.narrowed(0, rows), head: head)
    case .tokens(let ids, let logProbs): .tokens(ids: try ids.narrowed(0, rows), logProbs: try logProbs.narrowed(0, rows))
    }
  }

  /// As the fused operation takes it; nil where the teacher's head is more than a product.
  fileprivate func plain(_ vocabulary: Int, _ settings: DistillationSettings) throws(TorchError) -> TeacherRows? {
    switch self {
    case .tokens(let ids, let logProbs): return .tokens(ids: ids, logProbs: logProbs, addsTail: settings.addsTail)
    case .hidden(let hidden, let head):
      guard let head = head as? Linear, let numbers = try head.linearWeight(for: hidden.dtype) else { return nil }
      return try withoutGradients { () throws(TorchError) in
        .head(
          hidden: hidden, weight: try numbers.weight.first(vocabulary).to(hidden.device),
          bias: try numbers.bias?.first(vocabulary).to(hidden.device))
      }
    }
  }

  /// With the logits whole.
  fileprivate func logits(_ vocabulary: Int, _ settings: DistillationSettings) throws(TorchError) -> TeacherRows {
    switch self {
    case .tokens(let ids, let logProbs): .tokens(ids: ids, logProbs: logProbs, addsTail: settings.addsTail)
    case .hidden(let hidden, let head):
      .logits(
        try withoutGradients { () throws(TorchError) in try head.forward(hidden).narrowed(1, 0..<vocabulary) })
    }
  }
}
