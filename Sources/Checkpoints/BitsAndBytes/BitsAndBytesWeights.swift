import Foundation
import OrderedCollections
import Torch

/// A checkpoint in which bitsandbytes packed some of the weights: these under their own names, and what it keeps beside them as parts
/// of them.
///
/// A weight `X.weight` of 4 bits has beside it `X.weight.absmax`, `.quant_map`, `.quant_state.bitsandbytes__nf4` (or `__fp4`), and
/// where its scales are in 8 bits `.nested_absmax` and `.nested_quant_map`; one of 8 bits has `X.SCB` and `X.weight_format`.
public final class BitsAndBytesWeights: CheckpointSource {
  private enum Kind: Sendable {
    case fourBits(BitsAndBytesState)
    case eightBits
  }

  private let base: any CheckpointSource
  private let kinds: [String: Kind]
  /// The names of whole weights, in the order of the file.
  public let names: [String]

  /// Finds the packed weights among `base`'s; nil where there are none.
  ///
  /// - Throws: ``CheckpointError`` where what is kept beside a weight is damaged or of a kind that is not known.
  public init?(_ base: any CheckpointSource) throws {
    let all = Set(base.names)
    var kinds: [String: Kind] = [:]
    var parts: Set<String> = []
    for name in base.names where name.hasSuffix(".weight") {
      let module = String(name.dropLast(".weight".count))
      for (type, _) in BitsAndBytesState.formats {
        let key = "\(name).\(BitsAndBytesState.keyPrefix)\(type)"
        guard all.contains(key) else { continue }
        let bytes = try base.withStoredBytes(of: key) { Array($0.prefix(1 << 16)) }
        kinds[name] = .fourBits(try BitsAndBytesState(bytes, path: base.path, tensor: key))
        parts.formUnion([key] + Self.companions.map { "\(name).\($0)" })
      }
      guard all.contains(module + ".SCB") else { continue }
      kinds[name] = .eightBits
      parts.formUnion([module + ".SCB", module + ".weight_format"])
    }
    guard !kinds.isEmpty else { return nil }
    self.base = base
    self.kinds = kinds
    names = base.names.filter { !parts.contains($0) }
  }

  private static let companions = ["absmax", "quant_map", "nested_absmax", "nested_quant_map"]

  /// The file or folder.
  public var path: String { base.path }

  /// True: what is packed stays so unless asked otherwise.
  public var staysPacked: Bool { true }

  /// What the file says of a tensor; of a packed one its shape and type before it was packed.
  public func info(_ name: String) -> TensorInfo? {
    guard let info = base.info(name), let kind = kinds[name] else { return base.info(name) }
    switch kind {
    case .fourBits(let state):
      return TensorInfo(
        shape: state.shape, dtype: state.dtype, storedType: state.type.uppercased(), byteCount: info.byteCount)
    case .eightBits:
      return TensorInfo(shape: info.shape, dtype: .float32, storedType: "INT8", byteCount: info.byteCount)
    }
  }

  /// A tensor, expanded where it is packed. See ``CheckpointSource/tensor(_:as:)``.
  public func tensor(_ name: String, as dtype: DType?) throws -> Tensor {
    guard let packed = try packed(name) else { return try base.tensor(name, as: dtype) }
    guard let dtype, dtype != packed.dtype else { return try packed.expanded() }
    return try packed.expanded(as: .float32).to(dtype)
  }

  /// The bytes of the numbers of a tensor as they lie in the file.
  public func withStoredBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    try base.withStoredBytes(of: name, body)
  }

  /// Gives the pages of all parts of a tensor back to the system. See ``CheckpointSource/release(_:)``.
  public func release(_ name: String) {
    base.release(name)
    if kinds[name] != nil { for part in Self.companions { base.release("\(name).\(part)") } }
  }

  /// A packed weight over the mapped file.
  ///
  /// - Throws: ``CheckpointError`` where a part is missing or does not fit the others.
  public func packed(_ name: String) throws -> PackedWeight? {
    switch kinds[name] {
    case nil: return nil
    case .fourBits(let state): return try fourBits(name, state)
    case .eightBits: return try eightBits(name)
    }
  }

  private func fourBits(_ name: String, _ state: BitsAndBytesState) throws -> PackedWeight {
    var nested: PackedWeight.NestedScales?
    if let offset = state.offset {
      nested = PackedWeight.NestedScales(
        outerScales: try part("\(name).nested_absmax", .float32), map: try part("\(name).nested_quant_map", .float32),
        offset: Float(offset))
    }
    let scales = try part("\(name).absmax", nested == nil ? .float32 : .uint8)
    let map = try part("\(name).quant_map", .float32)
    guard try map.array(Float.self) == state.format.values() else {
      throw CheckpointError(
        .unsupported, at: path, in: "tensor “\(name).quant_map”", "holds other values than bitsandbytes' \(state.type)")
    }
    // The bytes may be stored as another type: `bnb_4bit_quant_storage`.
    let count = (state.shape[0] * state.shape[1] + 1) / 2
    let stored = try base.tensor(name)
    let numbers =
      stored.dtype == .uint8
      ? try stored.reshaped([stored.count])
      : try base.withStoredBytes(of: name) { try Tensor(copying: $0, shape: [$0.count], dtype: .uint8) }
    guard numbers.count == count else {
      throw CheckpointError(
        .malformed, at: path, in: "tensor “\(name)”", "has \(numbers.count) bytes for \(state.shape) numbers of 4 bits")
    }
    return try checked(
      PackedWeight(
        state.format, shape: state.shape, numbers: numbers, scales: scales, nested: nested, blockSize: state.blockSize,
        dtype: state.dtype), name)
  }

  private func eightBits(_ name: String) throws -> PackedWeight {
    let module = name.dropLast(".weight".count)
    let format = "\(module).weight_format"
    if base.info(format) != nil, let first = try base.withStoredBytes(of: format, { $0.first }), first != 0 {
      throw CheckpointError(
        .unsupported, at: path, in: "tensor “\(format)”", "says that rows are not in order (format \(first)); only 0 is known")
    }
    let numbers = try part(name, .int8)
    return try checked(
      PackedWeight(
        .int8, shape: numbers.shape, numbers: numbers, scales: try part("\(module).SCB", .float32), dtype: .float32), name)
  }

  /// A part that has to be there in this type.
  private func part(_ name: String, _ dtype: DType) throws -> Tensor {
    guard let info = base.info(name) else {
      throw CheckpointError(.absent, at: path, in: "tensor “\(name)”", "is missing beside the weight that bitsandbytes packed")
    }
    guard info.dtype == dtype else {
      throw CheckpointError(
        .malformed, at: path, in: "tensor “\(name)”", "is of type \(info.storedType), and bitsandbytes writes \(dtype.rawValue)")
    }
    return try base.tensor(name)
  }

  /// The weight, its parts compared with each other.
  private func checked(_ packed: PackedWeight, _ name: String) throws -> PackedWeight {
    do throws(TorchError) {
      _ = try packed.expanded(rows: 0..<0)
      return packed
    } catch {
      throw CheckpointError(.malformed, at: path, in: "tensor “\(name)”", "its parts do not fit each other: \(error.message)")
    }
  }
}
