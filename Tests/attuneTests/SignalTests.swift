import Foundation
import OrderedCollections
import TestSupport
import Testing
import Text

@Suite struct SignalTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder, contextLength: 1_000_000).path
  }

  /// Sends a signal once the answer has begun.
  private func interrupted(_ arguments: [String], by signal: Int32) throws -> Program.Result {
    try Program.run(arguments: arguments, in: folder) { process, output in
      try wait(while: { try process.isRunning && size(output) == 0 })
      kill(process.processIdentifier, signal)
      try wait(while: { process.isRunning })
      // What does not end by itself is ended, so that the test fails and does not hang.
      if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }
  }

  private func size(_ path: String) throws -> Int {
    try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
  }

  /// Waits a minute at most.
  private func wait(while condition: () throws -> Bool) throws {
    let deadline = Date.now.addingTimeInterval(60)
    while try condition(), Date.now < deadline { Thread.sleep(forTimeInterval: 0.02) }
  }

  @Test(arguments: [SIGINT, SIGTERM])
  func aSignalEndsTheAnswerInGoodOrder(_ signal: Int32) throws {
    let arguments = [
      "generate", "--model", model, "--prompt", "the sea and ", "--raw", "--max-new-tokens", "900000", "--temperature", "1",
      "--seed", "1", "--dtype", "f32", "--stop", "never said 0123456789",
    ]
    // Without tokens that end it, an answer goes on until it is stopped.
    try neverEnding()
    let result = try interrupted(arguments, by: signal)
    #expect(result.status == 130, "\(result.errors)")
    #expect(result.output.hasSuffix("\n") && result.output.count > 1)
    #expect(result.errors.contains("answer "))
  }

  /// Takes the tokens that end an answer out of the model's files.
  private func neverEnding() throws {
    let config = URL(filePath: model + "/config.json")
    var members = try JSON(parsing: Data(contentsOf: config)).object ?? [:]
    members["eos_token_id"] = .null
    try Data(JSON.object(members).text().utf8).write(to: config)
    try Data("{}".utf8).write(to: URL(filePath: model + "/generation_config.json"))
    try Data(#"{"bos_token": "<bos>"}"#.utf8).write(to: URL(filePath: model + "/tokenizer_config.json"))
  }

  @Test func aReaderThatLeavesIsNoFailure() throws {
    try neverEnding()
    let process = Process()
    process.executableURL = try Program.url()
    process.arguments = [
      "generate", "--model", model, "--prompt", "the sea and ", "--raw", "--max-new-tokens", "900000", "--dtype", "f32",
    ]
    let (output, errors) = (Pipe(), Pipe())
    (process.standardOutput, process.standardError) = (output, errors)
    try process.run()
    try output.fileHandleForWriting.close()
    _ = try output.fileHandleForReading.read(upToCount: 1)
    try output.fileHandleForReading.close()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0 && process.terminationReason == .exit)
    let said = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    #expect(!said.contains("error"), "\(said)")
  }
}
