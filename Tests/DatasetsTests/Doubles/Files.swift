import Datasets
import Foundation
import Testing
import Text

/// A folder that lives as long as the value.
final class Scratch {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("datasets-\(UUID().uuidString)")

  init() throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(at: folder)
  }

  var path: String { folder.path }

  /// Writes a file and gives its path.
  func file(_ name: String, _ text: String) throws -> String { try file(name, bytes: Array(text.utf8)) }

  /// Writes a file and gives its path.
  func file(_ name: String, bytes: [UInt8]) throws -> String {
    let file = folder.appendingPathComponent(name)
    try Data(bytes).write(to: file)
    return file.path
  }

  /// Loads one file of that content.
  func load(_ name: String, _ text: String, format: String? = nil) throws -> Dataset {
    try Dataset.load([DataSource(path: try file(name, text), format: format)])
  }

  /// A text with this folder's path left out.
  func relative(_ text: String) -> String { text.replacing(folder.path + "/", with: "") }
}

/// A golden file of this area.
func golden(_ name: String) throws -> JSON { try JSON(parsing: goldenBytes("datasets/\(name)")) }

/// A golden file of any area.
func goldenBytes(_ path: String) throws -> [UInt8] {
  let tests = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  return Array(try Data(contentsOf: tests.appendingPathComponent("Goldens/" + path)))
}

extension JSON {
  /// The integers of a list of them.
  var ints: [Int] { (array ?? []).compactMap(\.int) }
}

/// The error that `body` throws, as people read it.
func complaint(_ body: () throws -> Void) -> String {
  do {
    try body()
    return ""
  } catch {
    return "\(error)"
  }
}

/// A place that does not matter.
let nowhere = SourceLocation(file: "made.jsonl", line: 1)

extension Sample {
  /// A conversation in which user and assistant speak by turns.
  static func chat(_ turns: String..., line: Int = 1) -> Sample {
    let messages = turns.enumerated().map { Message(role: $0.isMultiple(of: 2) ? "user" : "assistant", content: $1) }
    return Sample(.conversation(messages), location: SourceLocation(file: "made.jsonl", line: line))
  }
}

extension Dataset {
  /// A data set in memory.
  init(_ samples: [Sample]) {
    self.init(
      samples: samples, sources: [Source(path: "made.jsonl", weight: 1, format: "messages", files: 1, rows: samples.count)])
  }
}

/// What is learnt of a sample, as text; stretches divided by “|”.
func learnt(_ sample: EncodedSample, _ tokenizer: any Tokenizer) -> String {
  let runs = zip(sample.ids, sample.trained).split(whereSeparator: { !$0.1 })
  return runs.map { tokenizer.decode($0.map(\.0), skipSpecialTokens: false) }.joined(separator: "|")
}
