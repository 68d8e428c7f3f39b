import Foundation
import Torch

/// Memory that the system may write to a disk and take back: tensors in a file without a name, which is gone with its last tensor.
///
/// The file's blocks are reserved before they are used, so that a full disk is an error here and not a signal later. What a tensor took
/// is free for others when it is gone.
public final class ScratchFile {
  /// Some bytes of the file in memory.
  private final class Region {
    let bytes: UnsafeMutableRawBufferPointer
    private let range: Range<Int>
    private let ranges: FileRanges

    init(_ bytes: UnsafeMutableRawBufferPointer, _ range: Range<Int>, of ranges: FileRanges) {
      (self.bytes, self.range, self.ranges) = (bytes, range, ranges)
    }

    deinit {
      if let start = bytes.baseAddress { munmap(start, bytes.count) }
      ranges.give(range)
    }

    /// Lets the system have the pages: what they hold is in the file, and comes back when it is touched.
    func release() { if let start = bytes.baseAddress { madvise(start, bytes.count, MADV_DONTNEED) } }
  }

  /// The folder whose disk is used.
  public let folder: URL
  /// Bytes of the file, in whole pages: the most that its tensors have taken at once.
  public var byteCount: Int { ranges.end }
  private let descriptor: Int32
  private let ranges = FileRanges()
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
    guard let (tensor, place) = try made(shape, dtype) else { return try .zeros(shape, dtype: dtype) }
    if place.wasUsed { try tensor.fillInPlace(0) }
    return tensor
  }

  /// A copy of a tensor in the file, none of which stays in memory until it is read.
  ///
  /// - Throws: ``CheckpointError`` where the disk has no room for it.
  public func copy(of tensor: Tensor) throws -> Tensor {
    guard let (copy, place) = try made(tensor.shape, tensor.dtype) else { return try tensor.clone() }
    try copy.copyInPlace(tensor.detached())
    place.region.release()
    return copy
  }

  /// Takes the tensors' pages out of this process; they stay in the system's cache of the file, which it writes out and drops as it
  /// needs memory.
  public func release() {
    for weak in regions.values { weak.region?.release() }
  }

  /// A tensor with room in the file, and whether another one was there before; nil for a tensor without numbers.
  private func made(_ shape: [Int], _ dtype: DType) throws -> (Tensor, (region: Region, wasUsed: Bool))? {
    let count = shape.reduce(1, *) * dtype.byteSize
    guard count > 0 else { return nil }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let (range, wasUsed) = ranges.take((count + page - 1) / page * page)
    var isTaken = false
    defer { if !isTaken { ranges.give(range) } }
    if !wasUsed { try reserve(range) }
    let start = mmap(nil, range.count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, off_t(range.lowerBound))
    guard let start, start != MAP_FAILED else {
      throw CheckpointError.system(errno, at: folder.path, doing: "cannot map a scratch file")
    }
    let region = Region(UnsafeMutableRawBufferPointer(start: start, count: range.count), range, of: ranges)
    isTaken = true
    regions = regions.filter { $0.value.region != nil }
    regions[ObjectIdentifier(region)] = Weak(region: region)
    let tensor = try Tensor(
      mapping: UnsafeRawBufferPointer(start: start, count: count), shape: shape, dtype: dtype, owner: region)
    return (tensor, (region, wasUsed))
  }

  private func reserve(_ range: Range<Int>) throws {
    var failure = posix_fallocate(descriptor, off_t(range.lowerBound), off_t(range.count))
    while failure == EINTR { failure = posix_fallocate(descriptor, off_t(range.lowerBound), off_t(range.count)) }
    guard failure == 0 else {
      ranges.forget(from: range.lowerBound)
      throw CheckpointError.system(failure, at: folder.path, doing: "cannot reserve \(range.upperBound) bytes of scratch space")
    }
  }
}

/// Which bytes of a file are in use. Parts may come back from any thread.
private final class FileRanges: @unchecked Sendable {
  private let lock = NSLock()
  /// Free parts before the end in order; none touches another.
  private var free: [Range<Int>] = []
  private var last = 0

  /// Where the file ends.
  var end: Int { lock.withLock { last } }

  /// The first free part that is large enough, or one behind the end, which nobody has used.
  func take(_ size: Int) -> (range: Range<Int>, wasUsed: Bool) {
    lock.withLock {
      if let index = free.firstIndex(where: { $0.count >= size }) {
        let range = free[index].lowerBound..<free[index].lowerBound + size
        free[index] = range.upperBound..<free[index].upperBound
        if free[index].isEmpty { free.remove(at: index) }
        return (range, true)
      }
      defer { last += size }
      return (last..<last + size, false)
    }
  }

  /// Takes a part back.
  func give(_ range: Range<Int>) {
    lock.withLock {
      guard range.upperBound <= last else { return }
      var index = free.firstIndex { $0.lowerBound >= range.upperBound } ?? free.endIndex
      free.insert(range, at: index)
      if index + 1 < free.endIndex, free[index].upperBound == free[index + 1].lowerBound {
        free[index] = free[index].lowerBound..<free.remove(at: index + 1).upperBound
      }
      if index > 0, free[index - 1].upperBound == free[index].lowerBound {
        free[index - 1] = free[index - 1].lowerBound..<free.remove(at: index).upperBound
        index -= 1
      }
    }
  }

  /// Ends the file where the system refused to make it longer.
  func forget(from end: Int) { lock.withLock { last = min(last, end) } }
}
