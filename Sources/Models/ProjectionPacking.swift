import Checkpoints
import NN
import Torch

/// Which projections of a model are kept in few bits when it is loaded.
public struct ProjectionPacking: Sendable, Hashable {
  /// How they are packed; nil keeps what the checkpoint has packed as it is there, and everything else dense.
  public var format: PackedWeight.Format?
  /// Whether the scales of 4 bits are put into 8.
  public var doubleQuant: Bool
  /// Modules that stay dense, as transformers' `llm_int8_skip_modules`: a path, the start of one up to a dot, or the end of one.
  public var skipped: [String]

  /// A choice by its parts.
  public init(_ format: PackedWeight.Format?, doubleQuant: Bool = true, skipped: [String] = ["lm_head"]) {
    (self.format, self.doubleQuant, self.skipped) = (format, doubleQuant, skipped)
  }

  /// Whether the projection at a path stays dense.
  public func skips(_ path: String) -> Bool {
    skipped.contains { path == $0 || path.hasPrefix($0 + ".") || path.hasSuffix($0) }
  }
}

/// What the numbers of projections are kept in that are not packed.
public enum ProjectionNumbers: Sendable, Hashable {
  /// In the model's element type.
  case converted
  /// As the files have them, over pages that go when a product has read them; those that are packed now are rounded to a type first.
  case stored(packedFrom: DType?)

  /// What weights are rounded to before they are packed, where that is not the model's element type.
  var packedFrom: DType? {
    if case .stored(let dtype) = self { dtype } else { nil }
  }
}

/// Makes packed projections, each from its tensor alone: a dense model is never in memory.
struct ProjectionPacker {
  let weights: any CheckpointSource
  let packing: ProjectionPacking?
  let dtype: DType
  /// What weights are rounded to before they are packed.
  let source: DType
  let device: Device
  /// Where the bits of a weight that was packed go; nil for memory.
  let keep: ((Tensor) throws -> Tensor)?

  /// What stands in the place of `dense`, whose numbers are yet to be loaded; nil where it stays dense. Its bias is yet to be loaded,
  /// too.
  func projection(_ dense: any Projection, at path: String, named name: String) throws -> (any Projection)? {
    if weights.staysPacked || keepsStored(path), let stored = try weights.packed(name) {
      try check(stored.shape, dense, name)
      if packing?.format != nil {
        throw ModelError("\(weights.path): tensor “\(name)” is quantized already; leave out the quantization asked for")
      }
      return try made(stored, dense)
    }
    guard let packing, let format = packing.format, !packing.skips(path) else { return nil }
    // Nothing else is over its bytes, so they go when it is packed.
    defer { weights.release(name) }
    let tensor = try weights.loaded(name, as: source)
    let weight = dense.storesTransposed ? try tensor.transposed() : tensor
    try check(weight.shape, dense, name)
    return try made(try packed(weight, format, named: name), dense)
  }

  /// The head that is the token table, packed where it is not to stay dense.
  func head(_ dense: Linear) throws -> any Projection {
    guard let packing, let format = packing.format, !packing.skips("lm_head") else { return dense }
    return try made(try packed(dense.weight.to(source), format, named: "lm_head.weight"), dense)
  }

  private func keepsStored(_ path: String) -> Bool {
    guard let packing, packing.format == nil else { return false }
    return !packing.skips(path)
  }

  private func made(_ packed: PackedWeight, _ dense: any Projection) throws -> any Projection {
    guard device == .cpu else {
      throw ModelError("\(weights.path): quantized weights are computed with on a CPU alone, not on \(device)")
    }
    return QuantizedLinear(packed, bias: dense.denseBias, storesTransposed: dense.storesTransposed, dtype: dtype)
  }

  private func check(_ shape: [Int], _ dense: any Projection, _ name: String) throws(ModelError) {
    let wanted = [dense.outputSize, dense.inputSize]
    guard shape != wanted else { return }
    throw ModelError("\(weights.path): tensor “\(name)” has shape \(shape) [out, in], and its config.json asks for \(wanted)")
  }

  private func packed(_ weight: Tensor, _ format: PackedWeight.Format, named name: String) throws -> PackedWeight {
    var packed: PackedWeight
    do throws(TorchError) {
      packed = try PackedWeight(packing: weight, as: format, doubleQuant: packing?.doubleQuant ?? true)
    } catch {
      throw ModelError("\(weights.path): tensor “\(name)” cannot be quantized: \(error.message)")
    }
    if let keep { packed.numbers = try keep(packed.numbers) }
    return packed
  }
}
