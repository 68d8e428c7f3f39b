import ArgumentParser
import Datasets
import Foundation
import OrderedCollections
import Recipes
import Text
import Tuners

/// `attune adapters combine`: one adapter of several.
struct AdapterCombine: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "combine",
    abstract: "Make one LoRA adapter of several.",
    discussion: """
      The methods are PEFT's: linear, cat and svd add the changes up; ties, dare_linear, dare_ties and magnitude_prune drop \
      elements first and need --density; with _svd they work on the changes themselves and not on the factors. cat is exact, \
      svd the best of its rank; linear, ties and the like are cheap approximations for adapters of one rank. The model is not \
      needed.

      Example:
        attune adapters combine runs/tone=0.7 runs/facts=0.3 --method svd --output adapters/both
      """)

  @Argument(
    help: ArgumentHelp(
      "Adapters, each with its weight behind “=” (default: 1), which may be negative.", valueName: "adapter=weight"))
  var adapters: [WeightedAdapter]

  @Option(help: ArgumentHelp("How: \(CombinationMethod.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "method"))
  var method = CombinationMethod.svd

  @Option(help: ArgumentHelp("The share of elements that stay, above 0 up to 1.", valueName: "d"))
  var density: Double?

  @Option(
    help: ArgumentHelp("The rank of the result, for svd and the like (default: the largest of the adapters).", valueName: "n"))
  var rank: Int?

  @Option(help: ArgumentHelp("How ties elects signs: total, by the sum, or frequency, by the count.", valueName: "way"))
  var majoritySign = MajoritySign.total

  @Option(help: ArgumentHelp("Where the random numbers of dare start.", valueName: "n"))
  var seed: UInt64 = 42

  @Option(name: .shortAndLong, help: ArgumentHelp("The folder to write.", valueName: "folder"))
  var output: String

  @Flag(help: "Write into a folder that holds files; those of the same names are replaced.")
  var force = false

  @Flag(help: "Print one JSON object: ranks, and what the approximation loses.")
  var json = false

  func run() throws {
    let folders = try adapters.map { try AdapterPlaces.resolve($0.folder) }
    let folder = URL(filePath: output)
    try AdapterPlaces.checkOutput(folder, inputs: folders, replacing: force)
    let parts = try zip(folders, adapters).map { (adapter: try StoredLoRA($0, for: "combining"), weight: $1.weight) }
    let combination = AdapterCombination(method, density: density, rank: rank, majoritySign: majoritySign, seed: seed)
    let result = try Progress.showing { progress in try combination.combine(parts, progress: progress) }
    try result.adapter.write(to: folder)
    try Terminal.output.write(json ? self.json(result).text(.pretty) + "\n" : words(result))
  }

  private func json(_ result: AdapterCombination.Result) -> JSON {
    [
      "output": .string(output), "method": .string(method.rawValue),
      "modules": .array(
        result.adapter.modules.values.map { module in
          [
            "path": .string(module.path), "rank": .int(module.rank),
            "relative_error": result.errors[module.path].map(JSON.double) ?? .null,
          ]
        }),
      "relative_error": result.error.map(JSON.double) ?? .null,
    ]
  }

  private func words(_ result: AdapterCombination.Result) -> String {
    let ranks = Set(result.adapter.modules.values.map(\.rank)).sorted().map(String.init).joined(separator: ", ")
    let loss = result.error.map { "; the rank leaves out \($0.asPercentage) of the change" } ?? ""
    return "wrote \(output): \(counted(result.adapter.modules.count, "projection")) of rank \(ranks)\(loss)\n"
  }
}

extension CombinationMethod: ExpressibleByArgument {}
extension MajoritySign: ExpressibleByArgument {}
