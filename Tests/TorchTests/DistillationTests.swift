import Foundation
import TestSupport
import Testing
import Text
import Torch

/// A student beside its teacher: fixed numbers by TRL and torchtune, logits in chunks against whole ones, and an example by hand.
@Suite struct DistillationTests {
  private let golden: JSON
  private let numbers: GoldenTensors
  private let gradients: GoldenTensors

  init() throws {
    golden = try Goldens.json("distillation/losses.json")
    numbers = try GoldenTensors("distillation/logits.safetensors")
    gradients = try GoldenTensors("distillation/gradients.safetensors")
  }

  private func loss(_ settings: JSON?) throws -> DistillationLoss {
    var loss = DistillationLoss()
    loss.temperature = settings?["temperature"]?.double ?? 1
    loss.share = settings?["kd_ratio"]?.double ?? 1
    let beta = settings?["beta"]?.double ?? 0.5
    switch settings?["loss_type"]?.string {
    case "forward_kl": loss.forward = 1
    case "reverse_kl": loss.reverse = 1
    case "symmetric_kl":
      let ratio = try #require(settings?["sym_kd_ratio"]?.double)
      (loss.forward, loss.reverse) = (ratio, 1 - ratio)
    default:
      if beta == 0 {
        loss.forward = 1
      } else if beta == 1 {
        loss.reverse = 1
      } else {
        (loss.jensenShannon, loss.beta) = (1, beta)
      }
    }
    return loss
  }

  /// Loss and gradient of a whole case: the rows that are trained.
  @Test func valuesAndGradientsAreTheReferences() throws {
    let labels = try numbers["labels"].array(Int64.self)
    let rows = labels.indices.filter { labels[$0] != -100 }
    let places = try Tensor(rows.map(Int64.init))
    let targets = try Tensor(rows.map { labels[$0] })
    let cases = try #require(golden["cases"]?.array)
    #expect(cases.count == 28)
    for item in cases {
      let name = item["name"]?.string ?? ""
      let settings = item["settings"]
      let teacher: TeacherRows =
        if let addsTail = settings?["loss_add_tail"]?.bool {
          .tokens(
            ids: try numbers["ids"].indexed(0, places), logProbs: try numbers["log_probs"].indexed(0, places), addsTail: addsTail)
        } else { .logits(try numbers["teacher"].indexed(0, places)) }
      let loss = try loss(settings)
      let found = try differentiate([try numbers["student"].indexed(0, places)], cotangent: try Tensor([1, 0, 0] as [Float])) {
        try $0[0].logitDistillation(teacher: teacher, targets: targets, loss: loss)
      }
      // torchtune's forward loss has the entropy of the teacher in it.
      let isTorchtune = name.hasPrefix("forward_kl") || name.hasPrefix("symmetric_kl")
      let entropy = isTorchtune ? loss.forward * loss.share * (golden["entropy"]?.double ?? .nan) : 0
      let expected = try #require(item["loss"]?.double)
      let value = Double(try found.value.array(Float.self)[0]) + entropy
      #expect(abs(value - expected) <= 1e-6 * max(1, abs(expected)), "\(name): \(value) instead of \(expected)")
      try assertClose(
        try #require(found.gradients[0]), try gradients[name].indexed(0, places), relative: 1e-5, absolute: 1e-6, name)
    }
  }

  /// Two tokens, teacher (3/4, 1/4), student (1/2, 1/2): KL(t‖s) = ¾·ln(3/2) + ¼·ln(1/2), its gradient s − t; the mixture at β = ½ is
  /// (5/8, 3/8).
  @Test func anExampleByHand() throws {
    let student = try Tensor([1, 1] as [Float], shape: [1, 2])
    let teacher = try Tensor([Float(log(3.0)), 0], shape: [1, 2])
    let target = try Tensor([Int64(1)])
    var forward = DistillationLoss()
    (forward.forward, forward.share) = (1, 0.5)
    let found = try differentiate([student], cotangent: try Tensor([1, 0, 0] as [Float])) {
      try $0[0].logitDistillation(teacher: .logits(teacher), targets: target, loss: forward)
    }
    let divergence = 0.75 * log(1.5) + 0.25 * log(0.5)
    try assertClose(found.value, [0.5 * divergence + 0.5 * log(2), divergence, log(2)], relative: 1e-6)
    // ½(s − t) + ½(s − one-hot).
    try assertClose(try #require(found.gradients[0]), [0.5 * -0.25 + 0.5 * 0.5, 0.5 * 0.25 + 0.5 * -0.5])
    var mixed = DistillationLoss()
    mixed.jensenShannon = 1
    let both = try student.logitDistillation(teacher: .logits(teacher), targets: target, loss: mixed).array(Float.self)
    let (t, s) = (0.75 * log(0.75 / 0.625) + 0.25 * log(0.25 / 0.375), 0.5 * log(0.5 / 0.625) + 0.5 * log(0.5 / 0.375))
    #expect(abs(Double(both[0]) - (t + s) / 2) < 1e-7)
  }

  private static let kinds: [DistillationLoss] = {
    var (forward, reverse, mixture, warm) = (DistillationLoss(), DistillationLoss(), DistillationLoss(), DistillationLoss())
    (forward.forward, forward.share) = (1, 0.6)
    (reverse.reverse, reverse.forward) = (0.7, 0.3)
    (mixture.jensenShannon, mixture.beta, mixture.share) = (1, 0.2, 0.8)
    (warm.jensenShannon, warm.temperature, warm.share) = (1, 2.5, 0.5)
    return [forward, reverse, mixture, warm]
  }()

  /// Both heads in one operation against whole logits: values, and the gradients of rows, weight and bias.
  @Test(arguments: [(7, 3), (7, 1), (7, 256), (1, 2), (17, 5)], [DType.float32, .bfloat16])
  func chunksAreTheWhole(sizes: (rows: Int, chunk: Int), dtype: DType) throws {
    let inputs = [
      try Tensor.pattern([sizes.rows, 17], scale: 2, dtype: dtype), try .pattern([23, 17], seed: 1, dtype: dtype),
      try .pattern([23], seed: 2, dtype: dtype),
    ]
    let teacher = [
      try Tensor.pattern([sizes.rows, 12], seed: 3, scale: 2, dtype: dtype), try .pattern([23, 12], seed: 4, dtype: dtype),
      try .pattern([23], seed: 5, dtype: dtype),
    ]
    let targets = try Tensor((0..<sizes.rows).map { Int64($0 * 7 % 23) })
    let cotangent = try Tensor([0.37, 0, 0] as [Float])
    let logits = try teacher[0].linear(teacher[1], teacher[2])
    let best = try logits.to(.float32).logSoftmax().top(4)
    for loss in Self.kinds {
      var ways: [(TeacherRows, TeacherRows)] = [
        (.head(hidden: teacher[0], weight: teacher[1], bias: teacher[2]), .logits(logits))
      ]
      for addsTail in [true, false] {
        let known = TeacherRows.tokens(ids: best.indices, logProbs: best.values, addsTail: addsTail)
        ways.append((known, known))
      }
      for (fused, plain) in ways {
        let expected = try differentiate(inputs, cotangent: cotangent) {
          try $0[0].linear($0[1], $0[2]).to(.float32).logitDistillation(teacher: plain, targets: targets, loss: loss)
        }
        let actual = try differentiate(inputs, cotangent: cotangent) {
          try $0[0].linearDistillation(
            weight: $0[1], bias: $0[2], teacher: fused, targets: targets, loss: loss, chunk: sizes.chunk)
        }
        #expect(actual.value.dtype == .float32)
        try assertClose(actual.value, expected.value, relative: 2e-6)
        // Gradients pass through the tensors' own type, whose steps are 1/128 in bfloat16.
        let tolerance = dtype == .float32 ? 5e-6 : 1.0 / 48
        for place in 0..<3 {
          let (found, wanted) = (try #require(actual.gradients[place]), try #require(expected.gradients[place]))
          #expect(found.dtype == dtype)
          try assertClose(
            found, wanted, relative: tolerance, absolute: tolerance * (try wanted.abs().max().item()), "gradient \(place)")
        }
      }
    }
  }

  /// Where the student says nothing of a token, the mixture of two vanishing numbers is no number, and a tail is as good as empty.
  @Test func vanishingProbabilitiesStayFinite() throws {
    let student = try Tensor([200, -200, 0, -190] as [Float], shape: [1, 4])
    let teacher = try Tensor([-200, -200, 200, 5] as [Float], shape: [1, 4])
    let targets = try Tensor([Int64(1)])
    let known = TeacherRows.tokens(
      ids: try Tensor([Int32(2), 3], shape: [1, 2]), logProbs: try Tensor([0, -195] as [Float], shape: [1, 2]), addsTail: true)
    for (teacher, loss) in [TeacherRows.logits(teacher), known].flatMap({ teacher in Self.kinds.map { (teacher, $0) } }) {
      let found = try differentiate([student], cotangent: try Tensor([1, 0, 0] as [Float])) {
        try $0[0].logitDistillation(teacher: teacher, targets: targets, loss: loss)
      }
      #expect(try found.value.isFinite().all())
      #expect(try #require(found.gradients[0]).isFinite().all())
    }
  }

  /// A student that says what its teacher says has nothing to learn, whatever the distance.
  @Test func equalsAreAtRest() throws {
    let logits = try Tensor.pattern([5, 11], scale: 3)
    let targets = try Tensor((0..<5).map { Int64($0) })
    for var loss in Self.kinds {
      loss.share = 1
      let found = try differentiate([logits], cotangent: try Tensor([1, 0, 0] as [Float])) {
        try $0[0].logitDistillation(teacher: .logits(logits), targets: targets, loss: loss)
      }
      #expect(abs(try found.value.narrowed(0, 0..<1).item()) < 1e-6)
      #expect(try #require(found.gradients[0]).abs().max().item() < 1e-6)
    }
  }
}
