import Testing

@testable import Datasets

@Suite struct SHA256Tests {
  private func hex(_ bytes: [UInt8]) -> String { CacheKey(digest: bytes).name }

  private func digest(_ text: String) -> String { hex(Array(text.utf8).withUnsafeBytes { SHA256.digest(of: $0) }) }

  /// The examples of FIPS 180-4 and NIST's short messages.
  @Test func agreesWithTheStandardsExamples() {
    #expect(digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    #expect(
      digest(String(repeating: "a", count: 1_000_000)) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  /// Any cut of the input gives the same digest, those at the edges of blocks among them.
  @Test func piecesMakeNoDifference() {
    let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 * 7) }
    let whole = bytes.withUnsafeBytes { SHA256.digest(of: $0) }
    for cut in [0, 1, 55, 56, 63, 64, 65, 128, 299] {
      var hash = SHA256()
      hash.update(Array(bytes[..<cut]))
      hash.update([])
      hash.update(Array(bytes[cut...]))
      #expect(hash.digest() == whole)
    }
  }

  /// By blocks, in pieces, and out of a file: one digest.
  @Test(arguments: [0, 1, 99, 100, 101, 250, 300]) func blockDigestsAgree(_ size: Int) throws {
    let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 * 13) }
    let whole = bytes.withUnsafeBytes { BlockDigest.of($0, blockSize: 100) }
    var stream = BlockDigest.Stream(blockSize: 100)
    for start in stride(from: 0, to: size, by: 33) {
      bytes[start..<min(start + 33, size)].withUnsafeBytes { stream.update($0) }
    }
    #expect(stream.digest() == whole)
    let scratch = try Scratch()
    let path = try scratch.file("bytes", bytes: bytes)
    #expect(try BlockDigest.ofFile(path, size: size, blockSize: 100) == whole)
    #expect(throws: DatasetError.self) { try BlockDigest.ofFile(path, size: size + 1, blockSize: 100) }
    if size > 0 {
      var changed = bytes
      changed[size / 2] ^= 1
      #expect(changed.withUnsafeBytes { BlockDigest.of($0, blockSize: 100) } != whole)
    }
  }
}
