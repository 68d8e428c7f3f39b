import Foundation

#if _endian(big)
  #error("The formats read here are little-endian, and so are the machines this program runs on.")
#endif

/// A whole file in memory without reading it: pages come from disk when they are touched.
///
/// The mapping is private and copy-on-write, so a tensor over it may be changed in place and the file stays as it is. It lasts as
/// long as this object. A file that another program shortens while it is mapped ends the process with SIGBUS when a lost page is
/// touched; Attune itself only ever replaces files (``AtomicFile``), which leaves a mapping whole.
public final class MappedFile: Sendable {
  /// Where the file is.
  public let path: String
  /// The file's bytes.
  public nonisolated(unsafe) let bytes: UnsafeRawBufferPointer

  /// Maps a file.
  ///
  /// - Throws: ``CheckpointError`` with the path and the system's reason; a folder or device is refused.
  public init(_ url: URL) throws(CheckpointError) {
    path = url.path
    let descriptor = try SystemCall.open(path, O_RDONLY, doing: "cannot open")
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system(errno, at: path, doing: "cannot examine") }
    guard status.st_mode & S_IFMT == S_IFREG else { throw CheckpointError(.unsupported, at: path, "not a plain file") }
    let size = Int(status.st_size)
    guard size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let start = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0)
    guard let start, start != MAP_FAILED else { throw .system(errno, at: path, doing: "cannot map into memory") }
    bytes = UnsafeRawBufferPointer(start: start, count: size)
  }

  /// Gives the pages that lie wholly in a range back to the system; they are read again when they are touched. What a tensor over them
  /// wrote there is lost, so nobody may hold one.
  func release(_ range: Range<Int>) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let (first, last) = ((range.lowerBound + page - 1) / page * page, range.upperBound / page * page)
    guard page > 0, first >= 0, first < last, last <= bytes.count, let start = bytes.baseAddress else { return }
    madvise(UnsafeMutableRawPointer(mutating: start + first), last - first, MADV_DONTNEED)
  }

  deinit {
    if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
  }
}
