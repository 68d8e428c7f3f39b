import Foundation
import TestSupport
import Text

/// The built program, run as a user runs it.
enum Program {
  /// What a run left behind.
  struct Result {
    let status: Int32
    let output: String
    let errors: String

    /// The output as JSON.
    var json: JSON { get throws { try JSON(parsing: output) } }

    /// The lines of the output as JSON.
    var jsonLines: [JSON] { get throws { try output.split(separator: "\n").map { try JSON(parsing: String($0)) } } }
  }

  struct NotBuilt: Error, CustomStringConvertible {
    let description: String
  }

  /// The program beside the test bundle.
  static func url() throws -> URL {
    let bundles = [Bundle.main.bundleURL] + Bundle.allBundles.map { $0.bundleURL.deletingLastPathComponent() }
    let folders = [Bundle.main.executableURL?.deletingLastPathComponent()].compactMap { $0 } + bundles
    let candidates = folders.map { $0.appending(path: "attune") }
    for candidate in candidates where FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
    throw NotBuilt(description: "no program attune at \(candidates.map(\.path).joined(separator: ", "))")
  }

  /// Runs it to its end.
  ///
  /// - Parameters:
  ///   - input: what it reads on standard input.
  ///   - folder: its working folder, also that of its model store.
  ///   - variables: what its environment has beside this one's.
  ///   - whileRunning: is called once with the process and the path of its output.
  static func run(
    arguments: [String], input: String = "", in folder: TemporaryFolder, environment variables: [String: String] = [:],
    whileRunning: ((Process, String) throws -> Void)? = nil
  ) throws -> Result {
    let name = UUID().uuidString
    let paths = (
      input: try folder.write(input, to: name + ".in"), output: try folder.write("", to: name + ".out"),
      errors: try folder.write("", to: name + ".err")
    )
    let process = Process()
    process.executableURL = try url()
    process.arguments = arguments
    process.currentDirectoryURL = folder.url
    var environment = ProcessInfo.processInfo.environment
    environment["ATTUNE_HOME"] = folder.path("store")
    environment["NO_COLOR"] = "1"
    environment.merge(variables) { $1 }
    process.environment = environment
    process.standardInput = try FileHandle(forReadingFrom: URL(filePath: paths.input))
    process.standardOutput = try FileHandle(forWritingTo: URL(filePath: paths.output))
    process.standardError = try FileHandle(forWritingTo: URL(filePath: paths.errors))
    try process.run()
    try whileRunning?(process, paths.output)
    process.waitUntilExit()
    let signalled = process.terminationReason == .uncaughtSignal
    return Result(
      status: signalled ? -process.terminationStatus : process.terminationStatus,
      output: try String(contentsOfFile: paths.output, encoding: .utf8),
      errors: try String(contentsOfFile: paths.errors, encoding: .utf8))
  }
}

extension Program {
  /// Runs it to its end.
  static func run(_ arguments: String..., input: String = "", in folder: TemporaryFolder) throws -> Result {
    try run(arguments: arguments, input: input, in: folder)
  }
}

extension JSON {
  /// A list of whole numbers.
  var ids: [Int]? { array?.compactMap(\.int) }
}

/// What transformers made of the tiny model with the tiny tokenizer; see `Scripts/goldens/command_line.py`.
func expected() throws -> JSON { try Goldens.json("cli/expected.json") }
