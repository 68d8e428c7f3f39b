import Foundation

/// An open file that takes bytes in order.
public final class FileSink {
  /// The file as messages name it.
  public let path: String
  /// The bytes taken so far.
  public private(set) var byteCount = 0
  private let descriptor: Int32

  /// A sink over an open descriptor, which stays the caller's to close.
  init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  /// Writes all of `bytes`.
  ///
  /// - Throws: ``CheckpointError`` where the disk is full, a quota is reached or the device fails.
  public func write(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      // Linux moves at most 0x7FFFF000 bytes in one call.
      let some = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
      let count = Foundation.write(descriptor, some.baseAddress, some.count)
      if count < 0 {
        guard errno == EINTR else { throw .system(errno, at: path, doing: "cannot write after \(byteCount) bytes") }
        continue
      }
      rest = rest.dropFirst(count)
      byteCount += count
    }
  }

  /// Writes the UTF-8 bytes of `text`.
  public func write(_ text: String) throws(CheckpointError) { try write(Array(text.utf8)) }

  /// Writes all of `bytes`.
  public func write(_ bytes: [UInt8]) throws(CheckpointError) {
    var failure: CheckpointError?
    bytes.withUnsafeBytes { buffer in
      do throws(CheckpointError) { try write(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
