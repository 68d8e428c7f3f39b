import Foundation
import Torch

/// Memory that the system may write to a disk and take back: tensors in a file without a name, which is gone with its last tensor.
///
/// The file's blocks are reserved before they are used, so that a full disk is an error here and not a signal later.
public final class ScratchFile {
  /// Some bytes of the file in memory.
  private final class Region {
    let bytes: UnsafeMutableRawBufferPointer

    init(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }

    deinit { if let start = bytes.baseAddress { munmap(start, bytes.count) } }

    /// Lets the system have the pages: what they hold is in the file, and comes back when it is touched.
    func release() { if let start = bytes.baseAddress { madvise(start, bytes.count, MADV_DONTNEED) } }
  }

  /// The folder whose disk is used.
  public let folder: URL
  /// Bytes of all tensors made, in whole pages.
  public private(set) var byteCount = 0
  private let descriptor: Int32
  private var regions: [ObjectIdentifier: Weak] = [:]

  private struct Weak { weak var region: Region? }

  /// A file in `folder`, which is made where it is missing.
  ///
  /// - Throws: ``CheckpointError`` where nothing can be written there.
  public init(in folder: URL) throws {
    self.folder = folder
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let path = TemporaryName.fresh(for: folder.appending(path: "scratch").path)
    descriptor = try SystemCall.open(path, O_RDWR | O_CREAT | O_EXCL, doing: "cannot make a scratch file")
    unlink(path)
  }

  deinit { close(descriptor) }

  /// A tensor of zeros in the file.
  ///
  /// - Throws: ``CheckpointError`` where the disk has no room for it.
  public func zeros(_ shape: [Int], dtype: DType) throws -> Tensor {
    let count = shape.reduce(1, *) * dtype.byteSize
    guard count > 0 else { return try .zeros(shape, dtype: dtype) }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let room = (count + page - 1) / page * page
    var failure = posix_fallocate(descriptor, off_t(byteCount), off_t(room))
    while failure == EINTR { failure = posix_fallocate(descriptor, off_t(byteCount), off_t(room)) }
    guard failure == 0 else {
      throw CheckpointError.system(failure, at: folder.path, doing: "cannot reserve \(byteCount + room) bytes of scratch space")
    }
    let start = mmap(nil, room, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, off_t(byteCount))
    guard let start, start != MAP_FAILED else {
      throw CheckpointError.system(errno, at: folder.path, doing: "cannot map a scratch file")
    }
    byteCount += room
    let region = Region(UnsafeMutableRawBufferPointer(start: start, count: room))
    regions[ObjectIdentifier(region)] = Weak(region: region)
    return try Tensor(mapping: UnsafeRawBufferPointer(start: start, count: count), shape: shape, dtype: dtype, owner: region)
  }

  /// Takes the tensors' pages out of this process; they stay in the system's cache of the file, which it writes out and drops as it
  /// needs memory.
  public func release() {
    for weak in regions.values { weak.region?.release() }
  }
}
