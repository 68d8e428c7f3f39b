import Foundation
import OrderedCollections
import Testing
import Torch

@testable import Checkpoints

/// Damaged copies of good files: each is read or refused with an error that names the file, and none makes the reader set aside
/// more memory than the file has.
struct MutationTests {
  /// SplitMix64, so that a failure can be repeated.
  struct Random: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var value = state
      value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
      value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
      return value ^ (value >> 31)
    }
  }

  private static let lengths: [UInt64] = [
    .max, 1 << 63, UInt64(Int.max), 1 << 62, 1 << 40, 1 << 32, UInt64(UInt32.max), 1 << 31, 100_000_000, 1 << 20, 65_536, 255, 0,
  ]

  /// One of: some bytes of the head changed, the file cut off, a number in the head made huge.
  static func damaged(_ bytes: [UInt8], head: Int, seed: Int) -> [UInt8] {
    var random = Random(state: UInt64(seed))
    var bytes = bytes
    switch seed % 4 {
    case 0:
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        bytes[Int.random(in: 0..<head, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
      }
    case 1: bytes.removeLast(bytes.count - Int.random(in: 0..<head, using: &random))
    case 2: bytes.removeLast(Int.random(in: 1...bytes.count - head, using: &random))
    default:
      let width = Bool.random(using: &random) ? 8 : 4
      let value = lengths[Int.random(in: 0..<lengths.count, using: &random)]
      let place = Int.random(in: 0...head - width, using: &random)
      withUnsafeBytes(of: value) { bytes.replaceSubrange(place..<place + width, with: $0.prefix(width)) }
    }
    return bytes
  }

  /// Reads every tensor; false where the file is refused.
  private func reads(_ url: URL, _ open: (URL) throws -> any CheckpointSource) throws -> Bool {
    do {
      let source = try open(url)
      for name in source.names {
        let tensor = try source.tensor(name)
        #expect(tensor.shape == source.info(name)?.shape)
        _ = try bytes(tensor)
      }
    } catch let error as CheckpointError {
      #expect(error.path == url.path)
      #expect(!error.problem.isEmpty)
      return false
    }
    return true
  }

  private func open(_ url: URL, asModel: Bool) throws -> any CheckpointSource {
    let file = try GGUFFile(url)
    return asModel ? try GGUFModel(file) : file
  }

  @Test func safetensors() throws {
    let folder = try TemporaryFolder()
    let good = try Golden.bytes("every_type.safetensors")
    let head = 8 + Int(good[0]) + Int(good[1]) << 8
    var read = 0
    for seed in 0..<1000 {
      let url = try folder.write(Self.damaged(good, head: head, seed: seed), to: "a.safetensors")
      if try reads(url, { try SafetensorsFile($0) }) { read += 1 }
    }
    // A changed letter of a name is no damage that can be seen, and a header wrong anywhere else is.
    #expect(read > 0 && read < 400, "\(read) of 1000 were read")
  }

  @Test(arguments: ["quantized.gguf", "llama.gguf"]) func gguf(name: String) throws {
    let folder = try TemporaryFolder()
    let good = try Golden.bytes(name)
    let first = try #require(try GGUFFile(Golden.url(name)).header.entries.values.first?.range.lowerBound)
    var read = 0
    for seed in 0..<1000 {
      let bytes = Self.damaged(good, head: first, seed: seed)
      let url = try folder.write(bytes, to: "a.gguf")
      if try reads(url, { try open($0, asModel: name == "llama.gguf") }) { read += 1 }
      bytes.withUnsafeBytes {
        var cursor = GGUFCursor($0, path: "a.gguf")
        _ = try? GGUFHeader(&cursor, path: "a.gguf")
        // Texts take 16 bytes each in memory for at least 8 in the file.
        #expect(cursor.largestReservation <= 2 * bytes.count)
      }
    }
    #expect(read > 0 && read < 400, "\(read) of 1000 were read")
  }
}
