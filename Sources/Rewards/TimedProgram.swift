import Foundation

/// A program that is run once, with its input and output in files, and is stopped with all it started when its time is over.
///
/// Files, not pipes: neither side waits for the other, and what was written before a failure is there to read.
struct TimedProgram {
  /// What came of it.
  struct Outcome {
    /// What it wrote.
    let output: String
    /// What went wrong: it ended with an error, or had to be stopped.
    let problem: String?
  }

  /// The most that it may write.
  private static let outputLimit = 64 << 20
  private let arguments: [String]
  private let timeout: Double

  /// - Parameters:
  ///   - arguments: the program and what it is given.
  ///   - timeout: seconds.
  init(_ arguments: [String], timeout: Double) { (self.arguments, self.timeout) = (arguments, timeout) }

  /// Runs it with `input` to read.
  ///
  /// - Throws: ``RewardError`` where it cannot be started.
  func run(_ input: String) throws(RewardError) -> Outcome {
    let folder = FileManager.default.temporaryDirectory.appending(path: "attune-reward-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = (
      input: folder.appending(path: "in"), output: folder.appending(path: "out"), errors: folder.appending(path: "err")
    )
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      for (url, text) in [(files.input, input), (files.output, ""), (files.errors, "")] {
        try Data(text.utf8).write(to: url)
      }
    } catch {
      throw RewardError("command", "cannot be given its input: \(folder.path) cannot be written: \(error.localizedDescription)")
    }
    let process = try start(files.input.path, files.output.path, files.errors.path)
    let ending = wait(for: process, files.output)
    let output = String(decoding: read(files.output, Self.outputLimit), as: UTF8.self)
    let said = String(decoding: read(files.errors, 4096), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    let last = said.split(separator: "\n").last.map { ": \($0.prefix(200))" } ?? ""
    return Outcome(output: output, problem: ending.map { "“\(arguments.joined(separator: " "))” \($0)\(last)" })
  }

  private func read(_ url: URL, _ limit: Int) -> Data {
    guard let file = try? FileHandle(forReadingFrom: url) else { return Data() }
    defer { try? file.close() }
    return (try? file.read(upToCount: limit)) ?? Data()
  }

  /// Starts it as the head of a process group of its own.
  private func start(_ input: String, _ output: String, _ errors: String) throws(RewardError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_APPEND, 0)
    posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_APPEND, 0)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    posix_spawnattr_setpgroup(&attributes, 0)
    let strings = arguments.map { strdup($0) }
    defer { for string in strings { free(string) } }
    var process: pid_t = 0
    let status = posix_spawnp(&process, arguments[0], &actions, &attributes, strings + [nil], environ)
    guard status == 0 else {
      throw RewardError("command", "“\(arguments[0])” cannot be started: \(String(cString: strerror(status)))")
    }
    return process
  }

  /// Waits for its end; where that is none of its own, says so.
  private func wait(for process: pid_t, _ output: URL) -> String? {
    let end = ContinuousClock.now + .seconds(timeout)
    var status: Int32 = 0
    var pause: UInt32 = 1000
    while waitpid(process, &status, WNOHANG) == 0 {
      let isLate = ContinuousClock.now >= end
      if isLate || size(of: output) > Self.outputLimit {
        kill(-process, SIGKILL)
        waitpid(process, &status, 0)
        return isLate ? "took over \(timeout) s and was stopped" : "wrote over \(Self.outputLimit >> 20) MB and was stopped"
      }
      usleep(pause)
      pause = min(pause * 2, 50_000)
    }
    // What it started and left behind.
    kill(-process, SIGKILL)
    let signal = status & 0x7f
    if signal != 0 { return "was ended by signal \(signal)" }
    let code = (status >> 8) & 0xff
    return code == 0 ? nil : "ended with status \(code)"
  }

  private func size(of url: URL) -> Int {
    ((try? FileManager.default.attributesOfItem(atPath: url.path))?[.size] as? Int) ?? 0
  }
}
