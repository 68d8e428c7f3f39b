import ArgumentParser
import Datasets
import Foundation
import Recipes

/// `attune data encode`: does what a run would do to its data, ahead of it.
extension DataCommand {
  struct Encode: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Turn a recipe's data into tokens and keep them in the cache, so that its run starts at once.",
      discussion: """
        Prints what encoding did to the data and whether the tokens came from the cache. What would stop a run stops this, too.

        Example:
          attune data encode recipe.yaml
        """)

    @Argument(help: "The recipe, a YAML file.", completion: .file(extensions: ["yaml", "yml"]))
    var recipe: String

    @Option(name: .customLong("set"), parsing: .unconditionalSingleValue, help: "Set a key of the recipe: key.path=value.")
    var settings: [String] = []

    @Flag(help: "Encode the data anew, and keep nothing of it: data.cache=false.")
    var noCache = false

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
      let recipe = try Recipe(contentsOf: URL(filePath: recipe), overrides: settings + (noCache ? ["data.cache=false"] : []))
      let data = try TuneRun(recipe).encode()
      guard json else {
        try Terminal.output.write(data.notes.joined(separator: "\n") + "\n")
        return
      }
      let report = EncodeReport(
        training: data.training.report, evaluation: data.evaluation?.report, cache: CacheReport(data.cacheUse))
      try Terminal.output.write(JSONReport.text(report) + "\n")
    }
  }
}

/// What `attune data encode --json` prints.
private struct EncodeReport: Encodable {
  let training: EncodingReport
  let evaluation: EncodingReport?
  let cache: CacheReport
}

/// What the cache did: `off`, `used`, `written` or `not-kept`, with a path or a reason.
private struct CacheReport: Encodable {
  let use: String
  var path: String?
  var reason: String?

  init(_ use: RunData.CacheUse) {
    switch use {
    case .off: self.use = "off"
    case .used(let path): (self.use, self.path) = ("used", path)
    case .written(let path): (self.use, self.path) = ("written", path)
    case .notKept(let reason): (self.use, self.reason) = ("not-kept", reason)
    }
  }
}
