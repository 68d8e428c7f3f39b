import Foundation

/// Memory for the bytes of one tensor, which owns it.
final class AlignedBuffer {
  let bytes: UnsafeMutableRawBufferPointer

  /// Sets memory aside, aligned to a cache line.
  ///
  /// - Throws: ``CheckpointError`` where there is not enough.
  init(byteCount: Int, for name: String, of path: String) throws(CheckpointError) {
    var start: UnsafeMutableRawPointer?
    guard posix_memalign(&start, 64, max(byteCount, 1)) == 0, let start else {
      throw CheckpointError(.system(ENOMEM), at: path, in: "tensor “\(name)”", "not enough memory for its \(byteCount) bytes")
    }
    bytes = UnsafeMutableRawBufferPointer(start: start, count: byteCount)
  }

  deinit { free(bytes.baseAddress) }
}
