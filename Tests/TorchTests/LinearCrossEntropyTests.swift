import TestSupport
import Testing
import Torch

/// Head and loss in one against log softmax of whole logits.
@Suite struct LinearCrossEntropyTests {
  private func inputs(rows: Int, vocabulary: Int, size: Int, dtype: DType) throws -> [Tensor] {
    [
      try .pattern([rows, size], scale: 2, dtype: dtype), try .pattern([vocabulary, size], seed: 1, dtype: dtype),
      try .pattern([vocabulary], seed: 2, dtype: dtype),
      try Tensor((0..<rows).map { Int64($0 * 7 % vocabulary) }),
    ]
  }

  private func whole(_ x: [Tensor]) throws -> Tensor {
    let logits = try x[0].linear(x[1], x[2]).to(.float32)
    return try -(try logits.logSoftmax().gathered(1, try x[3].unsqueezed(1)).sum())
  }

  private let cotangent = Result { try Tensor([0.37] as [Float], shape: []) }

  @Test(arguments: [(7, 3), (7, 1), (7, 7), (7, 256), (1, 2), (17, 5)], [DType.float32, .bfloat16])
  func equalsWholeLogits(sizes: (rows: Int, chunk: Int), dtype: DType) throws {
    let inputs = try inputs(rows: sizes.rows, vocabulary: 23, size: 17, dtype: dtype)
    let expected = try differentiate(inputs, cotangent: try cotangent.get()) { try self.whole($0) }
    let actual = try differentiate(inputs, cotangent: try cotangent.get()) {
      try $0[0].linearCrossEntropy(weight: $0[1], bias: $0[2], targets: $0[3], chunk: sizes.chunk)
    }
    #expect(actual.value.dtype == .float32 && actual.value.rank == 0)
    // The logits are the same numbers; gradients pass through the tensors' own type, whose steps are 1/128 in bfloat16.
    try assertClose(actual.value, expected.value, relative: 1e-6)
    let tolerance = dtype == .float32 ? 2e-6 : 1.0 / 64
    for place in 0..<3 {
      let (found, wanted) = (try #require(actual.gradients[place]), try #require(expected.gradients[place]))
      #expect(found.dtype == dtype)
      try assertClose(
        found, wanted, relative: tolerance, absolute: tolerance * (try wanted.abs().max().item()), "gradient \(place)")
    }
  }

  /// A frozen head without bias, where logits and gradients are made panel by panel: many panels, one, a vocabulary that ends within
  /// a block, and more rows than are taken at a time. Against whole logits in float32; the kernel rounds shares and the gradient
  /// to bfloat16.
  @Test(arguments: [(77, 1003, 96), (1, 5, 7), (33, 64, 32), (12_000, 40, 64)], [true, false])
  func frozenHead(sizes: (rows: Int, vocabulary: Int, size: Int), graded: Bool) throws {
    let head = try Tensor.pattern([sizes.vocabulary, sizes.size], seed: 1, scale: 0.7, dtype: .bfloat16)
    let hidden = try Tensor.pattern([sizes.rows, sizes.size], scale: 0.8, dtype: .bfloat16)
    let targets = try Tensor((0..<sizes.rows).map { Int64($0 * 7 % sizes.vocabulary) })
    let expected = try differentiate([try hidden.to(.float32)], cotangent: try cotangent.get()) {
      let logits = try $0[0].linear(try head.to(.float32))
      return try -(try logits.logSoftmax().gathered(1, try targets.unsqueezed(1)).sum())
    }
    guard graded else {
      let loss = try withoutGradients { try hidden.linearCrossEntropy(weight: head, targets: targets) }
      try assertClose(loss, expected.value, relative: 2e-6)
      return
    }
    let actual = try differentiate([hidden], cotangent: try cotangent.get()) {
      try $0[0].linearCrossEntropy(weight: head, targets: targets)
    }
    try assertClose(actual.value, expected.value, relative: 2e-6)
    let (found, wanted) = (try #require(actual.gradients[0]), try #require(expected.gradients[0]))
    try assertClose(
      try found.to(.float32), wanted, relative: 1.0 / 64, absolute: try wanted.abs().max().item() / 64, "gradient")
  }

  /// A head that learns: in bfloat16, and in float32 that is rounded for the products, whose gradient is float32. Against whole logits
  /// in float32; shares are rounded to bfloat16.
  @Test(arguments: [(77, 1003, 96), (1, 5, 7), (33, 64, 32), (2_100, 40, 64)], [DType.bfloat16, .float32])
  func learntHead(sizes: (rows: Int, vocabulary: Int, size: Int), type: DType) throws {
    let head = try Tensor.pattern([sizes.vocabulary, sizes.size], seed: 1, scale: 0.7, dtype: .bfloat16).to(type)
    let hidden = try Tensor.pattern([sizes.rows, sizes.size], scale: 0.8, dtype: .bfloat16)
    let targets = try Tensor((0..<sizes.rows).map { Int64($0 * 7 % sizes.vocabulary) })
    let expected = try differentiate([hidden, head].map { try $0.to(.float32) }, cotangent: try cotangent.get()) {
      let logits = try $0[0].linear($0[1])
      return try -(try logits.logSoftmax().gathered(1, try targets.unsqueezed(1)).sum())
    }
    let actual = try differentiate([hidden, head], cotangent: try cotangent.get()) {
      try $0[0].linearCrossEntropy(weight: $0[1], targets: targets)
    }
    try assertClose(actual.value, expected.value, relative: 2e-6)
    for place in 0..<2 {
      let (found, wanted) = (try #require(actual.gradients[place]), try #require(expected.gradients[place]))
      #expect(found.dtype == (place == 0 ? .bfloat16 : type))
      try assertClose(
        try found.to(.float32), wanted, relative: 1.0 / 64, absolute: try wanted.abs().max().item() / 64, "gradient \(place)")
    }
  }

  @Test func targetsOutsideTheVocabularyAreRefused() throws {
    let x = try inputs(rows: 4, vocabulary: 6, size: 3, dtype: .bfloat16)
    for target in [-1, 6] as [Int64] {
      let targets = try Tensor([0, target, 1, 2])
      for work in [
        { try x[0].linearCrossEntropy(weight: x[1], targets: targets) },
        { try x[0].linearLogProbs(weight: x[1], targets: targets) },
      ] {
        let error = #expect(throws: TorchError.self) { try work() }
        #expect(error?.message.contains("for a vocabulary of 6") == true)
      }
    }
  }

  // MARK: Numbers of their own for each row

  /// Gradients that differ from row to row, one of them zero.
  private func rowCotangents(_ rows: Int) throws -> Tensor { try Tensor((0..<rows).map { Float($0 % 5) * 0.31 - 0.62 }) }

  private func wholeLogProbs(_ x: [Tensor]) throws -> Tensor {
    try x[0].linear(x[1], x[2]).to(.float32).logSoftmax().gathered(1, try x[3].unsqueezed(1)).squeezed(1)
  }

  @Test(arguments: [(7, 3), (7, 256), (1, 2), (17, 5)], [DType.float32, .bfloat16])
  func logProbsEqualWholeLogits(sizes: (rows: Int, chunk: Int), dtype: DType) throws {
    let inputs = try inputs(rows: sizes.rows, vocabulary: 23, size: 17, dtype: dtype)
    let expected = try differentiate(inputs, cotangent: try rowCotangents(sizes.rows)) { try self.wholeLogProbs($0) }
    let actual = try differentiate(inputs, cotangent: try rowCotangents(sizes.rows)) {
      try $0[0].linearLogProbs(weight: $0[1], bias: $0[2], targets: $0[3], chunk: sizes.chunk)
    }
    #expect(actual.value.dtype == .float32 && actual.value.shape == [sizes.rows])
    try assertClose(actual.value, expected.value, relative: 1e-6, absolute: 1e-6)
    let tolerance = dtype == .float32 ? 2e-6 : 1.0 / 64
    for place in 0..<3 {
      let (found, wanted) = (try #require(actual.gradients[place]), try #require(expected.gradients[place]))
      #expect(found.dtype == dtype)
      try assertClose(
        found, wanted, relative: tolerance, absolute: tolerance * (try wanted.abs().max().item()), "gradient \(place)")
    }
  }

  /// The panels' kernel, with a frozen and with a learnt head, against whole logits in float32.
  @Test(arguments: [(77, 1003, 96), (1, 5, 7), (33, 64, 32), (2_100, 40, 64)], [DType.bfloat16, .float32])
  func logProbsByPanels(sizes: (rows: Int, vocabulary: Int, size: Int), type: DType) throws {
    let head = try Tensor.pattern([sizes.vocabulary, sizes.size], seed: 1, scale: 0.7, dtype: .bfloat16).to(type)
    let hidden = try Tensor.pattern([sizes.rows, sizes.size], scale: 0.8, dtype: .bfloat16)
    let targets = try Tensor((0..<sizes.rows).map { Int64($0 * 7 % sizes.vocabulary) })
    let cotangent = try rowCotangents(sizes.rows)
    let expected = try differentiate([hidden, head].map { try $0.to(.float32) }, cotangent: cotangent) {
      try $0[0].linear($0[1]).logSoftmax().gathered(1, try targets.unsqueezed(1)).squeezed(1)
    }
    let actual = try differentiate([hidden, head], cotangent: cotangent) {
      try $0[0].linearLogProbs(weight: $0[1], targets: targets)
    }
    let frozen = try differentiate([hidden], cotangent: cotangent) { try $0[0].linearLogProbs(weight: head, targets: targets) }
    #expect(try frozen.value.isEqual(to: actual.value))
    #expect(try #require(frozen.gradients[0]).isEqual(to: try #require(actual.gradients[0])))
    try assertClose(actual.value, expected.value, relative: 2e-6, absolute: 1e-5)
    for place in 0..<2 {
      let (found, wanted) = (try #require(actual.gradients[place]), try #require(expected.gradients[place]))
      #expect(found.dtype == (place == 0 ? .bfloat16 : type))
      try assertClose(
        try found.to(.float32), wanted, relative: 1.0 / 64, absolute: try wanted.abs().max().item() / 64, "gradient \(place)")
    }
  }

  @Test func gradientsGoOnlyWhereTheyAreWanted() throws {
    let x = try inputs(rows: 4, vocabulary: 6, size: 3, dtype: .float32)
    let expected = try differentiate(x) { try self.whole($0) }
    for wanted in 0..<3 {
      for tensor in x[..<3] { try tensor.setRequiresGradient(false) }
      try x[wanted].setRequiresGradient(true)
      let loss = try x[0].linearCrossEntropy(weight: x[1], bias: x[2], targets: x[3], chunk: 3)
      try (try loss * (try Tensor.pattern([], seed: 97).item())).backward()
      try assertClose(try #require(try x[wanted].gradient()), try #require(expected.gradients[wanted]))
      for other in 0..<3 where other > wanted { #expect(try x[other].gradient() == nil) }
    }
  }

  @Test func evaluationMakesNoGraph() throws {
    let x = try inputs(rows: 4, vocabulary: 6, size: 3, dtype: .float32)
    for tensor in x[..<3] { try tensor.setRequiresGradient(true) }
    let loss = try withoutGradients {
      try x[0].linearCrossEntropy(weight: x[1], bias: x[2], targets: x[3])
    }
    #expect(!loss.requiresGradient)
    try assertClose(loss, try whole(x).detached())
  }

  @Test func noRows() throws {
    let loss = try Tensor.zeros([0, 3]).linearCrossEntropy(weight: .ones([5, 3]), targets: .zeros([0], dtype: .int64))
    #expect(try loss.item() == 0)
  }

  @Test func stridesDoNotMatter() throws {
    let x = try inputs(rows: 8, vocabulary: 6, size: 3, dtype: .float32)
    let expected = try differentiate(x) {
      try self.whole([try $0[0].narrowed(0, 2..<6), $0[1], $0[2], try $0[3].narrowed(0, 2..<6)])
    }
    let actual = try differentiate(x) {
      try $0[0].narrowed(0, 2..<6).linearCrossEntropy(
        weight: $0[1], bias: $0[2], targets: try $0[3].narrowed(0, 2..<6), chunk: 3)
    }
    try assertClose(actual.value, expected.value)
    try assertClose(try #require(actual.gradients[0]), try #require(expected.gradients[0]))
  }

  @Test func hugeAndMissingNumbers() throws {
    let head = try Tensor([1, 0, -1] as [Float], shape: [3, 1])
    let hidden = try Tensor([1e30, -1e30, .nan] as [Float], shape: [3, 1])
    func loss(_ row: Int, _ target: Int64) throws -> Double {
      try hidden.narrowed(0, row..<row + 1).linearCrossEntropy(weight: head, targets: Tensor([target])).item()
    }
    #expect(try loss(0, 0) == 0)
    #expect(try loss(1, 2) == 0)
    #expect(try loss(0, 2) > 1e30)
    #expect(try loss(2, 0).isNaN)
  }
}
