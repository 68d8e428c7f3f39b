import OrderedCollections
import Torch

/// Makes one LoRA adapter of several: PEFT's `add_weighted_adapter`, on files, without the model.
public struct AdapterCombination: Sendable, Hashable {
  /// How.
  public var method: CombinationMethod
  /// The share of elements that stay where the method drops some, above 0 up to 1.
  public var density: Double?
  /// The rank of the result for the methods that approximate; nil for the largest among the adapters.
  public var rank: Int?
  /// How signs are elected.
  public var majoritySign: MajoritySign
  /// Where the random numbers of DARE start.
  public var seed: UInt64

  /// A combination by its settings.
  public init(
    _ method: CombinationMethod, density: Double? = nil, rank: Int? = nil, majoritySign: MajoritySign = .total,
    seed: UInt64 = 42
  ) {
    (self.method, self.density, self.rank, self.majoritySign, self.seed) = (method, density, rank, majoritySign, seed)
  }

  /// What came of it.
  public struct Result {
    /// The adapter. Its scales are 1.
    public let adapter: StoredLoRA
    /// ‖M − B·A‖ / ‖M‖ of each projection, M what the method makes of the changes; empty where nothing is approximated.
    public let errors: OrderedDictionary<String, Double>
    /// The same over all projections together; nil where nothing is approximated.
    public let error: Double?

    fileprivate init(_ adapter: StoredLoRA, _ losses: OrderedDictionary<String, (lost: Double, whole: Double)>) {
      func relative(_ lost: Double, _ whole: Double) -> Double { whole > 0 ? (lost / whole).squareRoot() : 0 }
      let sums = losses.values.reduce((0, 0)) { ($0.0 + $1.lost, $0.1 + $1.whole) }
      self.adapter = adapter
      errors = losses.mapValues { relative($0.lost, $0.whole) }
      error = losses.isEmpty ? nil : relative(sums.0, sums.1)
    }
  }

  /// Combines adapters.
  ///
  /// A projection that only some of them change takes part with those. DARE draws from libtorch's generator, which is put back.
  ///
  /// - Parameters:
  ///   - adapters: what is combined, with the weight of each, which may be negative.
  ///   - progress: told each projection before its turn.
  /// - Throws: ``TunerError`` for settings out of range, adapters that cannot be added, or results that are not finite.
  public func combine(
    _ adapters: [(adapter: StoredLoRA, weight: Double)], progress: (String) throws -> Void = { _ in }
  ) throws -> Result {
    try validate(adapters.map(\.weight))
    try refuseOtherBases(adapters.map(\.adapter))
    let state = try RandomState.capture()
    defer { try? RandomState.restore(state) }
    try RandomState.seed(seed)
    var paths: OrderedSet<String> = []
    for (adapter, _) in adapters { paths.formUnion(adapter.modules.keys) }
    // The order decides what DARE draws, so it is not that of a file.
    paths.sort()
    let rank = rank ?? adapters.flatMap { $0.adapter.modules.values.map(\.rank) }.max() ?? 1
    var modules: [StoredLoRA.Module] = []
    var losses: OrderedDictionary<String, (lost: Double, whole: Double)> = [:]
    for path in paths {
      try progress(path)
      let parts = adapters.compactMap { adapter, weight in adapter.modules[path].map { Part(module: $0, weight: weight) } }
      let (module, loss) = try combine(parts, at: path, rank: rank)
      guard try module.a.isFinite().all(), try module.b.isFinite().all() else {
        throw TunerError(
          "“\(path)”: the result holds numbers that are not finite; `attune adapters inspect` finds whose they are")
      }
      modules.append(module)
      losses[path] = loss
    }
    var adapter = adapters[0].adapter
    adapter.modules = OrderedDictionary(uniqueKeysWithValues: modules.map { ($0.path, $0) })
    let bases = adapters.compactMap(\.adapter.record.base)
    adapter.record.base = bases.first
    // Over weights that were quantized in different ways, the sum belongs to neither of them.
    if let first = bases.first, bases.contains(where: { !$0.isSameForm(as: first) }) {
      adapter.record.base?.quantization = nil
      adapter.record.base?.isFormKnown = false
    }
    return Result(adapter, losses)
  }

  private func validate(_ weights: [Double]) throws(TunerError) {
    guard !weights.isEmpty else { throw TunerError("there is no adapter to combine") }
    for weight in weights where !weight.isFinite || weight == 0 {
      throw TunerError("a weight must be a number other than 0, not \(weight)")
    }
    if let rank, rank < 1 { throw TunerError("the rank must be at least 1, not \(rank)") }
    if let rank, !method.isOfChanges {
      throw TunerError("\(method.rawValue) takes no rank (\(rank)): that of its result follows from the adapters; svd does")
    }
    guard method.takesDensity else {
      if density != nil { throw TunerError("\(method.rawValue) drops nothing and takes no density") }
      return
    }
    guard let density else { throw TunerError("\(method.rawValue) needs a density: the share of elements to keep, such as 0.5") }
    guard density > 0, density <= 1 else { throw TunerError("the density must be above 0 and at most 1, not \(density)") }
  }

  /// Changes of different models do not add up to anything.
  private func refuseOtherBases(_ adapters: [StoredLoRA]) throws(TunerError) {
    let known = adapters.compactMap(\.record.base)
    guard let first = known.first, known.contains(where: { !$0.isSameModel(as: first) }) else { return }
    throw TunerError("the adapters were trained on different bases, by their \(AdapterRecord.fileName); they cannot be combined")
  }
}

// MARK: - One projection

extension AdapterCombination {
  private struct Part {
    let module: StoredLoRA.Module
    let weight: Double
  }

  private var arithmetic: TaskArithmetic {
    TaskArithmetic(method: method, density: density ?? 1, majoritySign: majoritySign)
  }

  private func combine(
    _ parts: [Part], at path: String, rank: Int
  ) throws -> (module: StoredLoRA.Module, loss: (lost: Double, whole: Double)?) {
    try refuseOtherSizes(parts, at: path)
    func module(_ a: Tensor, _ b: Tensor) -> StoredLoRA.Module { StoredLoRA.Module(path: path, a: a, b: b, scale: 1) }
    switch method {
    case .cat:
      var (rows, columns): ([Tensor], [Tensor]) = ([], [])
      for part in parts {
        rows.append(try part.module.a * (part.weight * part.module.scale))
        columns.append(part.module.b)
      }
      return (module(try .concatenated(rows, 0), try Tensor.concatenated(columns, 1).contiguous()), nil)
    case .svd:
      var factors: [(a: Tensor, b: Tensor)] = []
      for part in parts { factors.append((part.module.a, try part.module.b * (part.weight * part.module.scale))) }
      let low = try LowRankApproximation(sumOf: factors, rank: rank, balance: .left)
      return (module(low.a, low.b), (low.lostSquare, low.square))
    case .tiesSVD, .dareLinearSVD, .dareTiesSVD, .magnitudePruneSVD:
      var changes: [(tensor: Tensor, weight: Double)] = []
      for part in parts { changes.append((try part.module.change(), part.weight)) }
      let low = try LowRankApproximation(try arithmetic.sum(changes), rank: rank, balance: .left)
      return (module(low.a, low.b), (low.lostSquare, low.square))
    case .linear, .ties, .dareLinear, .dareTies, .magnitudePrune:
      var (rows, columns): ([(tensor: Tensor, weight: Double)], [(tensor: Tensor, weight: Double)]) = ([], [])
      for part in parts {
        let weight = part.weight * part.module.scale
        // The sign goes to one factor: on both it would cancel.
        rows.append((part.module.a, weight.magnitude.squareRoot() * (weight < 0 ? -1 : 1)))
        columns.append((part.module.b, weight.magnitude.squareRoot()))
      }
      return (module(try arithmetic.sum(rows), try arithmetic.sum(columns)), nil)
    }
  }

  private func refuseOtherSizes(_ parts: [Part], at path: String) throws(TunerError) {
    guard let first = parts.first?.module else { return }
    for part in parts.dropFirst() {
      let module = part.module
      guard module.a.shape[1] == first.a.shape[1], module.b.shape[0] == first.b.shape[0] else {
        throw TunerError(
          "“\(path)”: the adapters are for projections of different sizes, B \(first.b.shape)·A \(first.a.shape) and "
            + "B \(module.b.shape)·A \(module.a.shape); they have different bases")
      }
      guard method.isOfChanges || method == .cat || module.rank == first.rank else {
        throw TunerError(
          "“\(path)”: \(method.rawValue) adds factors of one rank, and these have \(first.rank) and \(module.rank); use cat, "
            + "svd or \(method == .linear ? "another that ends in svd" : method.rawValue + "_svd")")
      }
    }
  }
}
