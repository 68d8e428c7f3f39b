import ArgumentParser
import Foundation
import Recipes
import Torch

/// The model that is measured: files, or random numbers in a shape.
struct BenchModelArguments: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The model: a name of the model store, a folder, or a .gguf file.", valueName: "name-or-path"))
  var model: String?

  @Option(
    help: ArgumentHelp(
      "Random weights in a shape: \(BenchShape.known.map(\.name).joined(separator: ", ")), or the path of a config.json.",
      valueName: "shape"))
  var config: String?

  @OptionGroup var machine: MachineArguments

  /// Loads the model, or makes it first, and gives it to `body` with an empty folder for files that nobody keeps.
  func measure<Result>(quantization: Quantization? = nil, _ body: (ModelWeights, URL) throws -> Result) throws -> Result {
    try ScratchFolder.with { scratch in
      var options = machine.options
      options.quantization = quantization
      let weights = try ModelWeights(try folder(scratch), options: options)
      // What making random weights took is no part of the measurement.
      if config != nil { PeakMemory.reset() }
      return try body(weights, scratch)
    }
  }

  /// What it is called in a report.
  func label(_ weights: ModelWeights) -> String { config ?? weights.path }

  private func folder(_ scratch: URL) throws -> URL {
    guard let config else { return try ModelStore.standard.resolve(model ?? "") }
    let folder = scratch.appending(path: "model")
    let options = machine.options
    let dtype = options.resolvedDType(on: try options.resolvedDevice())
    try RandomModel.write(try BenchShape(named: config), dtype: dtype, to: folder)
    return folder
  }
}

/// A folder for files that are gone when the work is done.
enum ScratchFolder {
  /// Runs `body` with an empty folder, and removes the folder.
  static func with<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let manager = FileManager.default
    let folder = manager.temporaryDirectory.appending(path: "attune-bench-\(UUID().uuidString)").standardizedFileURL
    try manager.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? manager.removeItem(at: folder) }
    return try body(folder)
  }
}
