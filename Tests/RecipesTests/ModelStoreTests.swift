import Foundation
import OrderedCollections
import TestSupport
import Testing

@testable import Recipes

@Suite struct ModelStoreTests {
  let folder: TemporaryFolder
  let store: ModelStore
  let model: URL

  init() throws {
    folder = try TemporaryFolder()
    store = ModelStore(folder: folder.url.appending(path: "store"))
    model = try TinyModels.folder("llama-tied", in: folder)
  }

  private func message(_ body: () throws -> Void) -> String {
    do { try body() } catch { return "\(error)" }
    return ""
  }

  @Test func aNameStandsForItsPath() throws {
    #expect(try store.entries().isEmpty)
    try store.add(model.path, named: "tiny")
    #expect(try store.resolve("tiny").path == model.path)
    #expect(try store.resolve(model.path).path == model.path)
    try store.remove("tiny")
    #expect(try store.entries().isEmpty)
  }

  @Test func aNearNameIsOffered() throws {
    try store.add(model.path, named: "smollm2-135m")
    let said = message { _ = try store.resolve("smolm2-135m") }
    #expect(said.contains("did you mean “smollm2-135m”?"))
    #expect(!message { _ = try store.resolve("something else entirely") }.contains("did you mean"))
    #expect(message { try store.remove("smollm2-135n") }.contains("did you mean “smollm2-135m”?"))
  }

  @Test func aPathThatIsGoneIsTold() throws {
    try store.add(model.path, named: "tiny")
    try FileManager.default.removeItem(at: model)
    #expect(message { _ = try store.resolve("tiny") }.contains("stands for \(model.path), which is gone"))
  }

  @Test(arguments: ["", "a/b", ".hidden", "with space"])
  func aNameThatCouldBeAPathIsRefused(_ name: String) {
    #expect(message { try store.add(model.path, named: name) }.contains("cannot name a model"))
  }

  @Test func whatIsNoModelGetsNoName() {
    #expect(!message { try store.add(folder.url.path, named: "none") }.isEmpty)
  }

  @Test func aDamagedStoreIsToldWithItsLine() throws {
    try FileManager.default.createDirectory(at: store.folder, withIntermediateDirectories: true)
    try Data("{\"a\": ".utf8).write(to: store.folder.appending(path: "models.json"))
    #expect(message { _ = try store.resolve("a") }.contains("models.json"))
  }
}
