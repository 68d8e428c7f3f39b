import Foundation

@testable import Text

/// What Hugging Face `tokenizers` made of hard texts, written by `Scripts/goldens/tokenizer_cases.py`.
struct TokenizerGolden {
  struct TextCase {
    var text: String
    /// With the special tokens that the post-processor adds.
    var ids: [Int32]
    var plain: [Int32]
    var decoded: String
    var skipped: String
  }

  struct DecodingCase {
    var ids: [Int32]
    var decoded: String
    var skipped: String
  }

  static let names = [
    "gpt2", "llama3", "qwen2", "smollm2", "llama2", "mistral", "metaspace-always", "gemma", "deepseek", "o200k", "possessive",
    "han",
    "added-tokens", "behaviors",
  ]

  struct Malformed: Error {
    var file: String
  }

  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Goldens/tokenizers")

  static func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: folder.appending(path: path))) }

  static func tokenizer(_ name: String) throws -> BPETokenizer {
    try BPETokenizer(tokenizerJSON: bytes("\(name)/tokenizer.json"))
  }

  var texts: [TextCase] = []
  var decodes: [DecodingCase] = []

  init(_ name: String) throws {
    let json = try JSON(parsing: TokenizerGolden.bytes("\(name)/cases.json"))
    for item in json["texts"]?.array ?? [] {
      guard let text = item["text"]?.string, let ids = item["ids"]?.ids, let plain = item["plain"]?.ids,
        let decoded = item["decoded"]?.string, let skipped = item["skipped"]?.string
      else { throw Malformed(file: name) }
      texts.append(TextCase(text: text, ids: ids, plain: plain, decoded: decoded, skipped: skipped))
    }
    for item in json["decodes"]?.array ?? [] {
      guard let ids = item["ids"]?.ids, let decoded = item["decoded"]?.string, let skipped = item["skipped"]?.string else {
        throw Malformed(file: name)
      }
      decodes.append(DecodingCase(ids: ids, decoded: decoded, skipped: skipped))
    }
    guard texts.count > 100, decodes.count > 40 else { throw Malformed(file: name) }
  }
}

extension JSON {
  /// An array of ids.
  var ids: [Int32]? { array.map { $0.compactMap { $0.int.flatMap { Int32(exactly: $0) } } } }
}

extension String {
  /// The scalars, for comparisons that tell canonically equivalent texts apart.
  var scalarValues: [UInt32] { unicodeScalars.map(\.value) }
}
