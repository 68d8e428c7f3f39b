import CTorch
import Dispatch
import Torch

/// Expands or copies the rows of a matrix out of a file, on all cores.
struct RowExpansion {
  /// What becomes of the bytes of a row.
  enum Work {
    case copy
    case float32(ct_block_format)
    case bfloat16(ct_block_format)
  }

  let work: Work
  let rows: Int
  let order: RowOrder
  /// Bytes of one row in the file and in the result.
  let rowByteCount: (source: Int, result: Int)
  /// Blocks of one row in the file.
  let rowBlocks: Int

  /// About this much of the result is one piece of work: it fits a core's cache, and starting a piece costs nothing beside it.
  private static let pieceByteCount = 1 << 19

  /// Fills `result` from `source`.
  func run(_ source: UnsafeRawBufferPointer, into result: UnsafeMutableRawBufferPointer) {
    guard let input = source.baseAddress, let output = result.baseAddress, rows > 0 else { return }
    let pieceRows = max(1, RowExpansion.pieceByteCount / max(1, rowByteCount.result))
    let pieces = (rows + pieceRows - 1) / pieceRows
    nonisolated(unsafe) let (from, to) = (input, output)
    DispatchQueue.concurrentPerform(iterations: pieces) { piece in
      let range = piece * pieceRows..<min(rows, (piece + 1) * pieceRows)
      switch order {
      case .same: move(range.count, from + range.lowerBound * rowByteCount.source, to + range.lowerBound * rowByteCount.result)
      case .interleavedHalves:
        for row in range { move(1, from + row * rowByteCount.source, to + order.destination(of: row) * rowByteCount.result) }
      }
    }
  }

  private func move(_ rows: Int, _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer) {
    let blocks = Int64(rows * rowBlocks)
    switch work {
    case .copy: to.copyMemory(from: from, byteCount: rows * rowByteCount.source)
    case .float32(let format): ct_dequantize_float32(format, from, blocks, to.assumingMemoryBound(to: Float.self))
    case .bfloat16(let format): ct_dequantize_bfloat16(format, from, blocks, to.assumingMemoryBound(to: UInt16.self))
    }
  }
}
