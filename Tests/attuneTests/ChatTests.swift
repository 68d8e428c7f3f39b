import Foundation
import TestSupport
import Testing
import Text

@Suite struct ChatTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder, contextLength: 512).path
  }

  private func chat(_ lines: String...) throws -> Program.Result {
    try Program.run(
      "chat", "--model", model, "--max-new-tokens", "8", "--dtype", "f32", "--system", "be kind",
      input: lines.joined(separator: "\n"), in: folder)
  }

  private func saved() throws -> [JSON] {
    try JSON(parsing: String(contentsOfFile: folder.path("chat.json"), encoding: .utf8)).array ?? []
  }

  @Test func theFirstAnswerIsTheReferences() throws {
    let result = try chat("hello there")
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output == (try expected()["chat"]?["text"]?.string).map { $0 + "\n" })
  }

  @Test func aConversationIsSavedAsItStands() throws {
    let answer = try expected()["chat"]?["text"] ?? .null
    let result = try chat("hello there", "and now", "/undo", "/save chat.json", "/exit", "never read")
    #expect(result.status == 0, "\(result.errors)")
    #expect(
      try saved() == [
        ["role": "system", "content": "be kind"], ["role": "user", "content": "hello there"],
        ["role": "assistant", "content": answer],
      ])
  }

  @Test func resetKeepsTheSystemsText() throws {
    _ = try chat("hello there", "/reset", "/system be brief", "/save chat.json")
    #expect(try saved() == [["role": "system", "content": "be brief"]])
  }

  @Test func anUnknownInstructionFromAPipeEndsIt() throws {
    let result = try chat("/sav x")
    #expect(result.status == 1)
    #expect(result.errors.hasSuffix("error: there is no instruction /sav; did you mean /save? /help lists them\n"))
  }
}
