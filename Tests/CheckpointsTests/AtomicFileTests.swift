import Foundation
import Testing

@testable import Checkpoints

struct AtomicFileTests {
  struct Interruption: Error {}

  @Test func writesAndReplaces() throws {
    let folder = try TemporaryFolder()
    try AtomicFile.write("first", to: folder.file("a"))
    #expect(try contents(folder.file("a")) == Array("first".utf8))
    chmod(folder.file("a").path, 0o640)
    try AtomicFile.write("second", to: folder.file("a"))
    #expect(try contents(folder.file("a")) == Array("second".utf8))
    #expect(try folder.entries == ["a"])
    var status = stat()
    stat(folder.file("a").path, &status)
    #expect(status.st_mode & 0o777 == 0o640)
  }

  @Test func failureLeavesWhatWasThere() throws {
    let folder = try TemporaryFolder()
    try AtomicFile.write("old", to: folder.file("a"))
    #expect(throws: Interruption.self) {
      try AtomicFile.write(to: folder.file("a")) { sink in
        try sink.write("half of the n")
        throw Interruption()
      }
    }
    #expect(try contents(folder.file("a")) == Array("old".utf8))
    #expect(try folder.entries == ["a"])
  }

  @Test func replacesALinkAndNotItsTarget() throws {
    let folder = try TemporaryFolder()
    let target = try folder.write("target", to: "target")
    try FileManager.default.createSymbolicLink(at: folder.file("link"), withDestinationURL: target)
    try AtomicFile.write("new", to: folder.file("link"))
    #expect(try contents(target) == Array("target".utf8))
    #expect(try contents(folder.file("link")) == Array("new".utf8))
  }

  @Test func errorsNamePathAndCause() throws {
    let folder = try TemporaryFolder()
    let inNone = folder.file("none/a")
    #expect(failure { try AtomicFile.write("x", to: inNone) } == "\(inNone.path): cannot create: No such file or directory")
    let file = try folder.write("x", to: "file")
    let below = file.appendingPathComponent("a")
    #expect(failure { try AtomicFile.write("x", to: below) } == "\(below.path): cannot create: Not a directory")
    let folderThere = failure { try AtomicFile.write("x", to: folder.url) }
    #expect(folderThere == "\(folder.url.path): cannot write a file here: there is a folder or a device")
    #expect(
      failure { try AtomicFile.write("x", to: URL(fileURLWithPath: "/dev/null")) }?.hasPrefix("/dev/null: cannot write") == true)
  }

  @Test func fullDiskIsNamed() throws {
    let descriptor = try SystemCall.open("/dev/full", O_WRONLY, doing: "cannot open")
    defer { close(descriptor) }
    let text = failure { try FileSink(descriptor: descriptor, path: "/run/model.safetensors").write("x") }
    #expect(text == "/run/model.safetensors: cannot write after 0 bytes: No space left on device")
  }

  @Test func staleTemporariesGoAndHeldOnesStay() throws {
    let folder = try TemporaryFolder()
    let stale = try folder.write("half", to: "a.tmp-0123456789abcdef")
    let other = try folder.write("half", to: "b.tmp-0123456789abcdef")
    let alike = try folder.write("mine", to: "a.tmp-notes")
    try AtomicFile.write(to: folder.file("a")) { sink in
      // A second writer of the same file cleans up while the first one writes.
      #expect(TemporaryName.removeStale(beside: folder.file("a")).isEmpty)
      try sink.write("whole")
    }
    #expect(!FileManager.default.fileExists(atPath: stale.path))
    #expect(FileManager.default.fileExists(atPath: other.path))
    #expect(TemporaryName.removeStale(in: folder.url) == [other.path])
    #expect(FileManager.default.fileExists(atPath: alike.path))
    #expect(try contents(folder.file("a")) == Array("whole".utf8))
  }

  @Test func namesOfTemporaries() {
    #expect(TemporaryName.owner(of: "model.safetensors.tmp-00ff00ff00ff00ff") == "model.safetensors")
    #expect(TemporaryName.owner(of: ".tmp-00ff00ff00ff00ff") == nil)
    #expect(TemporaryName.owner(of: "a.tmp-00FF00ff00ff00ff") == nil)
    #expect(TemporaryName.owner(of: "a.tmp-") == nil)
    #expect(TemporaryName.owner(of: TemporaryName.fresh(for: "a")) == "a")
  }

  @Test(arguments: [("", 0), ("a", 0xE8B7_BE43), ("123456789", 0xCBF4_3926)] as [(String, UInt32)])
  func checkValue(text: String, value: UInt32) {
    Array(text.utf8).withUnsafeBytes { #expect(CRC32.of($0) == value) }
  }

  @Test func checkValueInPieces() {
    let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 31) }
    bytes.withUnsafeBytes { all in
      var crc = CRC32()
      crc.update(UnsafeRawBufferPointer(rebasing: all[..<13]))
      crc.update(UnsafeRawBufferPointer(rebasing: all[13...]))
      // zlib.crc32(bytes(i * 31 & 255 for i in range(1000)))
      #expect(crc.value == 0x91F4_3DEC)
      #expect(CRC32.of(all) == crc.value)
    }
  }
}
