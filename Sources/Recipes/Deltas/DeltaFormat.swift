import Torch
import Tuners

/// How the difference of two models is kept.
public enum DeltaFormat: String, Sendable, Hashable, CaseIterable {
  /// Every element, as the difference of bit patterns: the tuned model comes back to the bit.
  case dense
  /// The elements that changed most; those come back to the bit, the others stay the base's.
  case sparse
  /// The best low-rank approximation of each matrix's change; vectors are kept whole.
  case lowRank = "low-rank"
  /// Each matrix's change in 8 bits, with a scale for each 32 neighbours of a row; vectors are kept whole.
  case int8
  /// tuned − base as numbers of the model's own element type in a Hugging Face folder, as FastChat publishes them. Rounds.
  case fastChat = "fastchat"
}

/// How one tensor of a delta is kept.
enum DeltaEncoding: String, Sendable {
  /// The base's own, bit for bit: nothing is kept.
  case same
  /// The tuned tensor itself, since the base has none that it could be a difference from.
  case whole
  /// Differences of bit patterns.
  case bits
  /// Differences of bit patterns at some places.
  case sparse
  /// Two thin factors.
  case lowRank = "low-rank"
  /// 8-bit numbers and scales.
  case int8
  /// The difference in the model's own element type, under the tensor's own name: FastChat's.
  case sum

  /// Whether it is made of the numbers, where the others keep bit patterns.
  var rounds: Bool { self == .sparse || self == .lowRank || self == .int8 || self == .sum }

  /// What follows the tensor's name in the file, part by part.
  var suffixes: [String] {
    switch self {
    case .same: []
    case .whole: [".whole"]
    case .bits: [".bits"]
    case .sparse: [".indices", ".bits"]
    case .lowRank: [".delta_A", ".delta_B"]
    case .int8: [".numbers", ".scales"]
    case .sum: [""]
    }
  }
}

/// Turns the change of one tensor into what is kept of it, and back.
struct DeltaCodec {
  let encoding: DeltaEncoding
  /// Places kept of a sparse change.
  var kept = 0
  /// Rank of a low-rank change.
  var rank = 0
  /// The element type of the tuned tensor, in which it comes back.
  let dtype: DType
  /// The shape of the tuned tensor.
  let shape: [Int]

  private var count: Int { shape.reduce(1, *) }
  private var columns: Int { shape.last ?? 1 }
  private var rows: Int { columns == 0 ? 0 : count / columns }
  private var indexType: DType { count > Int(Int32.max) ? .int64 : .int32 }
  /// Factors keep the element type of the weights, whose rounding is small beside what the rank leaves out.
  private var factorType: DType { dtype }

  /// Shape and type of each part, known before any is made.
  var layout: [(shape: [Int], dtype: DType)] {
    switch encoding {
    case .same: []
    case .whole, .sum: [(shape, dtype)]
    case .bits: [(shape, BitPatterns.integer(dtype))]
    case .sparse: [([kept], indexType), ([kept], BitPatterns.integer(dtype))]
    case .lowRank: [([rank, columns], factorType), ([rows, rank], factorType)]
    case .int8: [([rows, columns], .int8), ([rows, (columns + 31) / 32], .float32)]
    }
  }

  /// What is kept of tuned − base, both of ``dtype``.
  func encode(_ tuned: Tensor, _ base: Tensor?) throws -> [Tensor] {
    guard let base else { return [tuned] }
    switch encoding {
    case .same: return []
    case .whole: return [tuned]
    case .bits: return [try BitPatterns.difference(tuned, base)]
    case .sparse:
      let change = try Self.change(tuned, base).reshaped(-1)
      let places = try change.abs().top(kept).indices.sorted(descending: false).values
      let bits = try BitPatterns.difference(tuned, base).reshaped(-1).indexed(0, places)
      return [try places.to(indexType), bits]
    case .lowRank:
      let change = try Self.change(tuned, base).reshaped([rows, columns])
      let low = try LowRankApproximation(change, rank: rank, balance: .even)
      return [try low.a.to(factorType), try low.b.to(factorType)]
    case .int8:
      let (numbers, scales) = try Self.change(tuned, base).reshaped([rows, columns]).quantized()
      return [numbers, scales]
    case .sum: return [try Self.change(tuned, base).to(dtype)]
    }
  }

  /// The tuned tensor, or what is near it.
  ///
  /// - Throws: ``RecipeError`` where the parts hold places outside the tensor.
  func decode(_ parts: [Tensor], _ base: Tensor?) throws -> Tensor {
    guard let base else { return parts[0] }
    switch encoding {
    case .same: return base
    case .whole: return parts[0]
    case .bits: return try BitPatterns.sum(base, parts[0])
    case .sparse:
      let places = try parts[0].array(Int64.self)
      guard places.allSatisfy({ 0 <= $0 && $0 < count }) else { throw RecipeError("it names places outside the tensor") }
      return try BitPatterns.sum(base, at: places.map { Int($0) }, parts[1])
    case .lowRank:
      return try added(try parts[1].to(.float32).matmul(try parts[0].to(.float32)), to: base)
    case .int8: return try added(try parts[0].expanded(scales: parts[1], as: .float32), to: base)
    case .sum: return try added(try parts[0].to(.float32), to: base)
    }
  }

  private func added(_ change: Tensor, to base: Tensor) throws(TorchError) -> Tensor {
    try (try base.to(.float32) + change.reshaped(shape)).to(dtype)
  }

  /// tuned − base in float32.
  static func change(_ tuned: Tensor, _ base: Tensor) throws(TorchError) -> Tensor {
    try tuned.to(.float32) - base.to(.float32)
  }
}
