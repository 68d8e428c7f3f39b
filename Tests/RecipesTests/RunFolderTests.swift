import Foundation
import TestSupport
import Testing

@testable import Recipes

/// Where a run may write, and what it must not replace.
@Suite struct RunFolderTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func refusal(_ name: String, resuming: Bool = false, overwriting: Bool = false) -> String? {
    do throws(RecipeError) { try RunFolder(folder.path(name)).check(resuming: resuming, overwriting: overwriting) } catch {
      return error.description
    }
    return nil
  }

  @Test func aNewFolderAndAnEmptyOneAreFine() throws {
    #expect(refusal("new/deep") == nil)
    try FileManager.default.createDirectory(atPath: folder.path("empty"), withIntermediateDirectories: true)
    #expect(refusal("empty") == nil)
    #expect(refusal("empty", resuming: true)?.contains("no run to go on with") == true)
  }

  @Test func aFileInItsPlaceOrAboveItIsNamed() throws {
    let file = try folder.write("precious", to: "file")
    for name in ["file", "file/below"] {
      for overwriting in [false, true] {
        let said = try #require(refusal(name, overwriting: overwriting))
        #expect(said.contains("output: \(file) is a file"))
      }
    }
    #expect(try String(contentsOfFile: file, encoding: .utf8) == "precious")
  }

  @Test func aRunIsReplacedOnlyWhenAsked() throws {
    let run = RunFolder(folder.path("run"))
    try run.prepare(recipe: "model: m", resuming: false)
    for name in ["metrics.jsonl", "report.html", "notes.txt"] { try Data().write(to: run.url.appending(path: name)) }
    #expect(refusal("run")?.contains("--overwrite") == true)
    #expect(refusal("run", resuming: true) == nil && refusal("run", overwriting: true) == nil)
    try run.prepare(recipe: "model: n", resuming: false)
    #expect(try FileManager.default.contentsOfDirectory(atPath: run.url.path).sorted() == ["notes.txt", "recipe.yaml"])
  }

  @Test(arguments: ["best", "adapter", "recipe.yaml", "checkpoints"]) func whatIsNoRunsIsNotReplaced(_ name: String) throws {
    try FileManager.default.createDirectory(atPath: folder.path("own"), withIntermediateDirectories: true)
    _ = try folder.write("precious", to: "own/" + name)
    #expect(refusal("own")?.contains("“\(name)”") == true)
    #expect(refusal("own", overwriting: true) == nil)
  }
}
