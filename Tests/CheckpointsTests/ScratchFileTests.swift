import Checkpoints
import Foundation
import TestSupport
import Testing
import Torch

/// Memory in a file without a name.
@Suite struct ScratchFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test func tensorsKeepTheirNumbers() throws {
    let scratch = try ScratchFile(in: folder.url.appending(path: "made"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.folder.path).isEmpty, "the file has no name")
    let (numbers, codes) = (try scratch.zeros([1_000, 300], dtype: .float32), try scratch.zeros([5], dtype: .uint8))
    #expect(try numbers.abs().max().item() == 0 && codes.array(UInt8.self) == [0, 0, 0, 0, 0])
    let expected = try Tensor.pattern([1_000, 300], seed: 3)
    try numbers.copyInPlace(expected)
    try codes.fillInPlace(7)
    scratch.release()
    #expect(try numbers.isEqual(to: expected) && codes.array(UInt8.self) == [7, 7, 7, 7, 7])
    #expect(scratch.byteCount >= 1_200_005 && scratch.byteCount % Int(sysconf(Int32(_SC_PAGESIZE))) == 0)
    #expect(try scratch.zeros([0], dtype: .float32).count == 0)
  }

  @Test func whatATensorTookIsFreeAfterIt() throws {
    let scratch = try ScratchFile(in: folder.url)
    let source = try Tensor.pattern([700, 30], seed: 5)
    var tensors = try (0..<4).map { _ in try scratch.copy(of: source) }
    let size = scratch.byteCount
    for round in 0..<3 {
      // Two neighbours make room for one of twice the size.
      tensors.removeSubrange(1...2)
      let zeros = try scratch.zeros([1_400, 30], dtype: .float32)
      #expect(try scratch.byteCount == size && zeros.abs().max().item() == 0, "round \(round)")
      tensors.insert(contentsOf: try zeros.split(0, [700, 700]), at: 1)
      #expect(try tensors[0].isEqual(to: source) && tensors[3].isEqual(to: source))
    }
    tensors = []
    #expect(try scratch.copy(of: source.to(.bfloat16)).isEqual(to: source.to(.bfloat16)) && scratch.byteCount == size)
    #expect(try scratch.copy(of: .zeros([0, 3])).shape == [0, 3])
  }

  /// A tensor outlives the file it lies in.
  @Test func aTensorKeepsItsPart() throws {
    var scratch: ScratchFile? = try ScratchFile(in: folder.url)
    let tensor = try #require(try scratch?.zeros([2_000], dtype: .float32))
    scratch = nil
    try tensor.fillInPlace(3)
    #expect(try tensor.sum().item() == 6_000)
  }

  @Test func whatCannotBeIsRefused() throws {
    let file = try folder.write("", to: "file")
    #expect(throws: (any Error).self) { try ScratchFile(in: file.appending(path: "below")) }
    let scratch = try ScratchFile(in: folder.url)
    #expect { try scratch.zeros([1 << 50], dtype: .float32) } throws: { "\($0)".contains("scratch space") }
    #expect(try scratch.zeros([4], dtype: .float32).sum().item() == 0, "what failed left no trace")
  }

  /// Pages given back count no longer as this process's.
  @Test func pagesAreGivenBack() throws {
    func resident() throws -> Int {
      let status = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
      return (Int(status[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
    let (scratch, count) = (try ScratchFile(in: folder.url), 16 << 20)
    let tensor = try scratch.zeros([count], dtype: .float32)
    try tensor.fillInPlace(1)
    let full = try resident()
    scratch.release()
    #expect(full - (try resident()) > 4 * count / 10 * 9)
    #expect(try tensor.sum().item() == Double(count))
  }
}
