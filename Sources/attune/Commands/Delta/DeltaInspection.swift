import ArgumentParser
import Foundation
import Recipes
import Text

/// `attune delta inspect`: what a delta holds.
struct DeltaInspection: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what a delta holds: form, base, size, and what it loses.",
    discussion: """
      Example:
        attune delta inspect merged-delta
      """)

  @Argument(help: "The delta's folder.")
  var delta: String

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let summary = try DeltaSummary(URL(filePath: delta))
    let words = [summary.path, ""] + summary.lines
    try Terminal.output.write(json ? summary.json.text(.pretty) + "\n" : words.joined(separator: "\n") + "\n")
  }
}
