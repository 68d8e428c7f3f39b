import ArgumentParser
import Foundation
import Recipes
import Text

/// `attune adapters list`: the adapters in folders.
struct AdapterList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the adapters in folders and below them.",
    discussion: """
      Checkpoints of runs and hidden folders are left out. Without a folder, it is runs/ here, or else this folder.

      Example:
        attune adapters list runs
      """)

  @Argument(help: ArgumentHelp("Folders to search.", valueName: "folder"))
  var folders: [String] = []

  @Flag(help: "Print JSON: a list of {\"name\", \"path\", \"method\", \"base\", \"parameters\", \"bytes\"}.")
  var json = false

  func run() throws {
    let found = try (folders.isEmpty ? [Self.standard] : folders).flatMap { try AdapterPlaces.find(in: $0) }
    let rows = found.map { url in (url: url, summary: Result { try AdapterSummary(url, readingNumbers: false) }) }
    if json { return try Terminal.output.write(JSON.array(rows.map(Self.json)).text(.pretty) + "\n") }
    guard !rows.isEmpty else { return Log.line("no adapters here; `attune tune` makes one, and `attune adapters extract`") }
    var table = TextTable([["name", "method", "rank", "size", "base", "path"]], numbers: [3])
    for (url, summary) in rows {
      switch summary {
      case .success(let summary):
        table.append(
          AdapterPlaces.name(of: url), summary.method, summary.ranks.map(String.init).joined(separator: ", "),
          summary.byteCount.asBytes, summary.base ?? "", Self.short(url))
      case .failure(let error): table.append(AdapterPlaces.name(of: url), "damaged: \(error)", "", "", "", Self.short(url))
      }
    }
    try Terminal.output.write(table.lines.joined(separator: "\n") + "\n")
  }

  private static var standard: String { FileManager.default.fileExists(atPath: "runs") ? "runs" : "." }

  /// The path from the working folder, where it lies below it.
  private static func short(_ url: URL) -> String {
    let here = URL(filePath: ".").standardizedFileURL.path
    return url.path.hasPrefix(here + "/") ? String(url.path.dropFirst(here.count + 1)) : url.path
  }

  private static func json(_ url: URL, _ summary: Result<AdapterSummary, any Error>) -> JSON {
    switch summary {
    case .success(let summary):
      [
        "name": .string(AdapterPlaces.name(of: url)), "path": .string(url.path), "method": .string(summary.method),
        "base": summary.base.map(JSON.string) ?? .null, "parameters": .int(summary.parameterCount),
        "bytes": .int(summary.byteCount),
      ]
    case .failure(let error):
      ["name": .string(AdapterPlaces.name(of: url)), "path": .string(url.path), "problem": .string("\(error)")]
    }
  }
}
