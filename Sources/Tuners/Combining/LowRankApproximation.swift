import Torch

/// A matrix as a product of two thin ones, and what is lost by it.
public struct LowRankApproximation {
  /// A [r, in].
  public let a: Tensor
  /// B [out, r].
  public let b: Tensor
  /// ‖M − B·A‖², the sum of the squares of what is lost.
  public let lostSquare: Double
  /// ‖M‖², the sum of the squares of the matrix.
  public let square: Double

  /// ‖M − B·A‖ / ‖M‖ in the Frobenius norm, 0 where M is 0.
  public var relativeError: Double { square > 0 ? (lostSquare / square).squareRoot() : 0 }

  /// How the singular values are shared out between the factors.
  public enum Balance: Sendable, Hashable {
    /// B = U·S, A = Vᵀ, as PEFT does when it combines.
    case left
    /// B = U·√S, A = √S·Vᵀ: factors of one size, which train well.
    case even
  }

  /// The best approximation of `matrix` [out, in] in the Frobenius norm (Eckart and Young, 1936).
  ///
  /// - Parameters:
  ///   - matrix: what is approximated, of finite numbers.
  ///   - rank: r at most; a matrix that is smaller has the smaller of its sizes.
  ///   - balance: where the singular values go.
  /// - Throws: `TorchError` where it is no matrix, or not finite.
  public init(_ matrix: Tensor, rank: Int, balance: Balance) throws(TorchError) {
    let matrix = try matrix.to(.float32)
    let (u, s, vh) = try matrix.singularValues()
    try self.init(u: u, s: s, vh: vh, rank: rank, balance: balance, measuring: matrix)
  }

  /// The same of Σ Bᵢ·Aᵢ, from the factors alone: no matrix of the full size is made.
  ///
  /// - Parameters:
  ///   - factors: Aᵢ [rᵢ, in] and Bᵢ [out, rᵢ].
  ///   - rank: r at most.
  ///   - balance: where the singular values go.
  public init(sumOf factors: [(a: Tensor, b: Tensor)], rank: Int, balance: Balance) throws(TorchError) {
    var (rows, columns): ([Tensor], [Tensor]) = ([], [])
    for (a, b) in factors {
      rows.append(try a.to(.float64))
      columns.append(try b.to(.float64))
    }
    let left = try Tensor.concatenated(columns, 1).singularValues()
    let right = try Tensor.concatenated(rows, 0).singularValues()
    let middle = try (try left.vh * left.s.unsqueezed(-1)).matmul(try right.u * right.s)
    let inner = try middle.singularValues()
    try self.init(
      u: try left.u.matmul(inner.u), s: inner.s, vh: try inner.vh.matmul(right.vh), rank: rank, balance: balance, measuring: nil)
  }

  /// - Parameter matrix: what the loss is measured against; nil takes it from the singular values.
  private init(
    u: Tensor, s: Tensor, vh: Tensor, rank: Int, balance: Balance, measuring matrix: Tensor?
  ) throws(TorchError) {
    let count = s.count
    let kept = 0..<Swift.min(rank, count)
    let values = try s.narrowed(0, kept)
    let (left, right) = (try u.narrowed(1, kept), try vh.narrowed(0, kept))
    let root = balance == .even ? try values.sqrt() : values
    b = try (left * root).to(.float32).contiguous()
    a = try (balance == .even ? right * root.unsqueezed(-1) : right).to(.float32).contiguous()
    if let matrix {
      square = try Self.square(matrix)
      lostSquare = try Self.square(try matrix - b.matmul(a))
    } else {
      square = try Self.square(s)
      lostSquare = kept.count < count ? try Self.square(try s.narrowed(0, kept.count..<count)) : 0
    }
  }

  /// The sum of squares, summed in float64.
  static func square(_ tensor: Tensor) throws(TorchError) -> Double {
    let norm = try tensor.to(.float64).norm().item()
    return norm * norm
  }
}
