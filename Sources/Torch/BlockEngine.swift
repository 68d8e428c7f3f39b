import CTorch

/// What products of bfloat16 are computed with on a CPU. Only the order of additions differs.
public enum BlockEngine: Sendable, CaseIterable {
  /// The processor's tile unit (AMX).
  case tileUnit
  /// Vectors of pairs of bfloat16 (AVX512-BF16).
  case pairs
  /// Vectors of float32, which every processor has.
  case float32

  /// The one at work: at first the first of these that the processor has.
  public static var current: BlockEngine {
    switch ct_current_block_engine() {
    case CT_BLOCKS_TILE_UNIT: .tileUnit
    case CT_BLOCKS_PAIRS: .pairs
    default: .float32
    }
  }

  private var raw: ct_block_engine {
    switch self {
    case .tileUnit: CT_BLOCKS_TILE_UNIT
    case .pairs: CT_BLOCKS_PAIRS
    case .float32: CT_BLOCKS_FLOAT32
    }
  }

  /// Runs `body` with this one; what was before comes back even if it throws. Of the whole process: nothing else may compute meanwhile.
  ///
  /// - Returns: what `body` does; nil where this processor lacks the engine.
  public func run<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result? {
    let before = ct_current_block_engine()
    guard ct_set_block_engine(raw) else { return nil }
    defer { _ = ct_set_block_engine(before) }
    return try body()
  }
}
