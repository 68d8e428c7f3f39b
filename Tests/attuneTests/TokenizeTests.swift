import Foundation
import OrderedCollections
import TestSupport
import Testing
import Text

@Suite struct TokenizeTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder).path
  }

  @Test func idsEqualTheReference() throws {
    for (text, ids) in try expected()["tokens"]?.object ?? [:] {
      let result = try Program.run("tokenize", "--model", model, "--text", text, "--json", in: folder)
      #expect(try result.json == ["tokens": ids["with_special"] ?? .null])
      let plain = try Program.run("tokenize", "--model", model, "--text", text, "--json", "--no-special", in: folder)
      #expect(try plain.json == ["tokens": ids["plain"] ?? .null])
    }
  }

  @Test func idsAndPiecesStandOnALine() throws {
    #expect(try Program.run("tokenize", "--model", model, "--text", "the sea", in: folder).output == "1 78 7 95 8\n")
    let pieces = try Program.run("tokenize", "--model", model, "--text", "the sea\n", "--pieces", in: folder)
    #expect(pieces.output == "<bos>|the| |se|a|↵\n")
  }

  @Test func aFileIsReadWhole() throws {
    let file = try folder.write("the sea", to: "text.txt")
    #expect(try Program.run("tokenize", "--model", model, "--input", file, in: folder).output == "1 78 7 95 8\n")
    #expect(try Program.run("tokenize", "--model", model, "--input", "-", input: "the sea", in: folder).output == "1 78 7 95 8\n")
  }

  @Test(arguments: ["1 78 7 95 8", "[1, 78, 7, 95, 8]", #"{"tokens": [1,78,7,95,8]}"#, "1,78,7,95,8"])
  func idsBecomeText(_ ids: String) throws {
    #expect(try Program.run("tokenize", "--model", model, "--decode", "--text", ids, in: folder).output == "<bos>the sea\n")
    let json = try Program.run("tokenize", "--model", model, "--decode", "--text", ids, "--no-special", "--json", in: folder)
    #expect(try json.json == ["text": "the sea"])
  }

  @Test func aGGUFFileWillDo() throws {
    let result = try Program.run(
      "tokenize", "--model", Goldens.url("gguf/llama-tied-f32.gguf").path, "--text", "a", "--json", in: folder)
    #expect(result.status == 0, "\(result.errors)")
    #expect(try result.json["tokens"]?.ids?.isEmpty == false)
  }

  @Test func wordsAreNoIds() throws {
    let result = try Program.run("tokenize", "--model", model, "--decode", "--text", "1 two", in: folder)
    #expect(result.status == 1)
    #expect(result.errors == "error: --text: “two” is no token id; write whole numbers\n")
  }
}
