import Testing
import Text

@testable import Datasets

/// Damaged files give samples or an error that names a place, and nothing else.
@Suite struct MutationTests {
  private static let rows = #"""
    {"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi é😀"},{"role":"assistant","content":"Hello!"}]}
    {"instruction":"Add.","input":"1 2","output":"3","history":[["a","b"]]}
    {"conversations":[{"from":"human","value":"q"},{"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{}}"}],"tools":"[]"}
    {"prompt":[{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a"}]}
    {"text":"Once \"upon\" a\ntime, 1.5e3 \ud83d\ude00"}
    """#

  private static let inserts: [[UInt8]] = [
    Array("{".utf8), Array("}".utf8), Array("[".utf8), Array("]".utf8), Array("\"".utf8), Array("\\".utf8), Array("\n".utf8),
    Array("\r\n".utf8), Array(",".utf8), [0xFF], [0xC3], [0], Array("null".utf8), Array("1e999".utf8), Array("\\ud800".utf8),
    Array(String(repeating: "[", count: 300).utf8), [0xEF, 0xBB, 0xBF],
  ]

  private func mutated(_ random: inout SplitMix64) -> [UInt8] {
    var bytes = Array(Self.rows.utf8)
    for _ in 0...random.below(4) where !bytes.isEmpty {
      let place = random.below(bytes.count)
      let end = min(bytes.count, place + 1 + random.below(40))
      switch random.below(5) {
      case 0: bytes[place] = UInt8(random.below(256))
      case 1: bytes.removeSubrange(place..<end)
      case 2: bytes.insert(contentsOf: Self.inserts[random.below(Self.inserts.count)], at: place)
      case 3: bytes.insert(contentsOf: bytes[place..<end], at: random.below(bytes.count))
      default: bytes.removeSubrange(place...)
      }
    }
    return bytes
  }

  @Test(arguments: ["jsonl", "json", "csv", "txt"]) func aThousandDamagedFilesGiveSamplesOrErrors(_ layout: String) throws {
    let scratch = try Scratch()
    let encoder = try encoder(EncodingSettings(maxLength: 40))
    var random = SplitMix64(seed: 99)
    var loaded = 0
    var refused = 0
    for _ in 0..<1000 {
      let path = try scratch.file("mutated.\(layout)", bytes: mutated(&random))
      do {
        let data = try Dataset.load([DataSource(path: path)], badRows: .skip)
        loaded += data.samples.isEmpty ? 0 : 1
        #expect(data.badRows.listed.allSatisfy { $0.location.file == path && $0.location.line >= 1 && !$0.cure.isEmpty })
        _ = data.inspected(with: encoder)
        _ = try? data.encoded(with: encoder)
      } catch let error as DatasetError {
        refused += 1
        #expect(error.problem.contains("mutated.\(layout)") && !error.cure.isEmpty)
      }
    }
    #expect(loaded + refused > 300)
    #expect(layout == "csv" || loaded > 0)
  }
}
