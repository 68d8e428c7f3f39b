import Checkpoints
import Foundation
import Torch

/// Two models whose tensors are compared by name.
struct ModelPair {
  let base: ModelFiles
  let tuned: ModelFiles

  /// Whether the base has a tensor of that name and shape.
  func isInBase(_ name: String) -> Bool {
    guard let own = tuned.weights.info(name), let other = base.weights.info(name) else { return false }
    return own.shape == other.shape && (own.dtype == other.dtype || own.dtype?.isFloatingPoint ?? false)
  }

  /// A tensor of both, the base's in the element type of the tuned one.
  func tensors(_ name: String) throws -> (tuned: Tensor, base: Tensor) {
    let own = try tuned.weights.tensor(name)
    return (own, try base.weights.tensor(name, as: own.dtype))
  }
}

/// Makes what is kept of each tensor when it is written, and notes what is lost.
final class DeltaParts {
  private let pair: ModelPair
  private let losses: Losses
  private let progress: (String) throws -> Void
  /// The parts made last: several parts of a tensor come one after the other where they have one element type.
  private var latest: (name: String, parts: [Tensor])?

  init(pair: ModelPair, losses: Losses, progress: @escaping (String) throws -> Void) {
    (self.pair, self.losses, self.progress) = (pair, losses, progress)
  }

  /// The parts of one tensor, to be made.
  func pending(_ name: String, _ codec: DeltaCodec, isInBase: Bool) -> [PendingTensor] {
    zip(codec.encoding.suffixes, codec.layout).enumerated().map { place, part in
      PendingTensor(name + part.0, shape: part.1.shape, dtype: part.1.dtype) {
        try self.parts(name, codec, isInBase: isInBase)[place]
      }
    }
  }

  private func parts(_ name: String, _ codec: DeltaCodec, isInBase: Bool) throws -> [Tensor] {
    if let latest, latest.name == name { return latest.parts }
    latest = nil
    try progress("encoding \(name)")
    guard isInBase else { return try codec.encode(pair.tuned.weights.tensor(name), nil) }
    let (tuned, base) = try pair.tensors(name)
    let parts = try codec.encode(tuned, base)
    try losses.note(name, tuned: tuned, base: base, restored: try codec.decode(parts, base))
    latest = (name, parts)
    return parts
  }
}

/// What a form of the difference loses, tensor by tensor.
final class Losses {
  /// Sums of squares.
  struct Loss {
    var lost = 0.0
    var whole = 0.0

    /// ‖tuned − restored‖ / ‖tuned − base‖, 0 where nothing is lost.
    var relative: Double { lost == 0 ? 0 : (lost / whole).squareRoot() }
  }

  private(set) var byName: [String: Loss] = [:]

  var total: Loss { byName.values.reduce(into: Loss()) { ($0.lost, $0.whole) = ($0.lost + $1.lost, $0.whole + $1.whole) } }

  func note(_ name: String, tuned: Tensor, base: Tensor, restored: Tensor) throws {
    guard tuned.dtype.isFloatingPoint else { return }
    // Where bit patterns are kept nothing is lost, whatever the numbers are.
    let isExact = try tuned.hasBytes(of: restored)
    let whole = try Self.square(DeltaCodec.change(tuned, base))
    byName[name] = Loss(
      lost: isExact ? 0 : try Self.square(DeltaCodec.change(tuned, restored)), whole: whole.isFinite ? whole : 0)
  }

  /// The sum of squares, in float64.
  static func square(_ tensor: Tensor) throws(TorchError) -> Double {
    let norm = try tensor.to(.float64).norm().item()
    return norm * norm
  }
}

extension Tensor {
  /// Whether two tensors are equal byte by byte, which tells NaN from NaN and 0 from −0.
  func hasBytes(of other: Tensor) throws -> Bool {
    try withUnsafeBytes { own in
      try other.withUnsafeBytes { others in
        guard own.count == others.count, let first = own.baseAddress, let second = others.baseAddress else {
          return own.count == others.count
        }
        return memcmp(first, second, own.count) == 0
      }
    }
  }
}
