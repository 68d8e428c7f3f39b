import Foundation
import Testing

@testable import Checkpoints

struct AtomicFolderTests {
  struct Interruption: Error {}

  /// Writes two files, one of them in a folder of its own.
  private func make(_ url: URL, _ text: String) throws {
    try AtomicFolder.write(to: url) { folder in
      try AtomicFile.write(text, to: folder.appendingPathComponent("state.json"))
      let inner = folder.appendingPathComponent("rng")
      try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: false)
      try AtomicFile.write(text + text, to: inner.appendingPathComponent("rank0"))
    }
  }

  @Test func writesReplacesAndVerifies() throws {
    let folder = try TemporaryFolder()
    let url = folder.file("step-10")
    try make(url, "first")
    try FolderManifest.verify(url)
    try make(url, "second")
    try FolderManifest.verify(url)
    #expect(try contents(url.appendingPathComponent("rng/rank0")) == Array("secondsecond".utf8))
    #expect(try FolderManifest(of: url).entries.map(\.name) == ["rng/rank0", "state.json"])
    #expect(try folder.entries == ["step-10"])
  }

  @Test func failureLeavesWhatWasThere() throws {
    let folder = try TemporaryFolder()
    let url = folder.file("step-10")
    try make(url, "old")
    #expect(throws: Interruption.self) {
      try AtomicFolder.write(to: url) { folder in
        try AtomicFile.write("new", to: folder.appendingPathComponent("state.json"))
        throw Interruption()
      }
    }
    try FolderManifest.verify(url)
    #expect(try contents(url.appendingPathComponent("state.json")) == Array("old".utf8))
    #expect(try folder.entries == ["step-10"])
  }

  @Test func replacesWhereTheFileSystemCannotExchange() throws {
    let folder = try TemporaryFolder()
    let url = folder.file("step-10")
    try make(url, "old")
    try AtomicFolder.write(to: url, exchanging: { _, _ in EINVAL }) { folder in
      try AtomicFile.write("new", to: folder.appendingPathComponent("state.json"))
    }
    try FolderManifest.verify(url)
    #expect(try contents(url.appendingPathComponent("state.json")) == Array("new".utf8))
    #expect(try folder.entries == ["step-10"])
  }

  @Test func bringsBackAFolderThatWasMovedAside() throws {
    let folder = try TemporaryFolder()
    let url = folder.file("step-10")
    let aside = folder.file("step-10.old-0123456789abcdef")
    try make(url, "old")
    try FileManager.default.moveItem(at: url, to: aside)
    try AtomicFolder.settle(url)
    #expect(try contents(url.appendingPathComponent("state.json")) == Array("old".utf8))
    try make(aside, "older still")
    try AtomicFolder.settle(url)
    #expect(try folder.entries == ["step-10"])
    #expect(try contents(url.appendingPathComponent("state.json")) == Array("old".utf8))
  }

  @Test func otherExchangeFailuresAreReported() throws {
    let folder = try TemporaryFolder()
    let url = folder.file("step-10")
    try make(url, "old")
    let text = failure { try AtomicFolder.write(to: url, exchanging: { _, _ in EACCES }) { _ in } }
    #expect(text == "\(url.path): cannot exchange the old folder for the new: Permission denied")
    #expect(try folder.entries == ["step-10"])
  }

  @Test func aFileOfTheNameStays() throws {
    let folder = try TemporaryFolder()
    let file = try folder.write("mine", to: "step-10")
    let text = failure { try AtomicFolder.write(to: file) { _ in } }
    #expect(text == "\(file.path): cannot make a folder here: there is a file of this name")
    #expect(try contents(file) == Array("mine".utf8))
    #expect(try folder.entries == ["step-10"])
  }

  @Test func aFolderThatLostAPartIsNotWhole() throws {
    let folder = try TemporaryFolder()
    let url = folder.file("step-10")
    func damaged(_ damage: (URL) throws -> Void) throws -> String? {
      try make(url, "text")
      try damage(url)
      return failure { try FolderManifest.verify(url) }
    }
    let missing = try damaged { try FileManager.default.removeItem(at: $0.appendingPathComponent("rng/rank0")) }
    #expect(missing == "\(url.path): file “rng/rank0”: is missing. Use an earlier checkpoint")
    let short = try damaged { try Data("tex".utf8).write(to: $0.appendingPathComponent("state.json")) }
    #expect(short?.contains("file “state.json”: has 3 bytes where 4 were written") == true)
    let changed = try damaged { try Data("tExt".utf8).write(to: $0.appendingPathComponent("state.json")) }
    #expect(changed?.contains("not those that were written") == true)
    let manifest = try damaged { try FileManager.default.removeItem(at: $0.appendingPathComponent(FolderManifest.fileName)) }
    #expect(manifest?.contains("was not written to its end") == true)
    try make(url, "text")
    _ = try Data("note".utf8).write(to: url.appendingPathComponent("notes.txt"))
    try FolderManifest.verify(url)
  }

  @Test func everyPrefixOfAManifestIsRefused() throws {
    let folder = try TemporaryFolder()
    let url = folder.file("step-10")
    try make(url, "text")
    let file = url.appendingPathComponent(FolderManifest.fileName)
    let whole = try contents(file)
    // The last byte is the line feed after the object.
    for length in 0..<whole.count - 1 {
      try Data(whole[..<length]).write(to: file)
      #expect(throws: CheckpointError.self) { try FolderManifest.verify(url) }
    }
  }

  @Test func staleFoldersGo() throws {
    let folder = try TemporaryFolder()
    let stale = folder.file("step-10.tmp-0123456789abcdef")
    try FileManager.default.createDirectory(at: stale, withIntermediateDirectories: false)
    _ = try Data("half".utf8).write(to: stale.appendingPathComponent("state.json"))
    try make(folder.file("step-10"), "whole")
    #expect(try folder.entries == ["step-10"])
  }
}
