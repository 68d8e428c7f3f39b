import ArgumentParser
import Datasets
import Foundation
import OrderedCollections
import Recipes
import Tuners

/// `attune adapters convert`: between PEFT's files and mlx-lm's.
struct AdapterConvert: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Convert a LoRA adapter between PEFT's files and mlx-lm's.",
    discussion: """
      What the folder holds is found out; --to says what is written (default: the other). mlx-lm knows one rank and one scale \
      for all projections: smaller ranks are filled up with zeros, other scales go into B.

      Example:
        attune adapters convert runs/tone --to mlx --output tone-mlx
      """)

  /// Whose files are written.
  enum Layout: String, ExpressibleByArgument, CaseIterable { case peft, mlx }

  @Argument(help: "The adapter's folder, or that of a run.")
  var adapter: String

  @Option(help: "Whose files to write: peft or mlx.")
  var to: Layout?

  @Option(name: .shortAndLong, help: ArgumentHelp("The folder to write.", valueName: "folder"))
  var output: String

  @Flag(help: "Write into a folder that holds files; those of the same names are replaced.")
  var force = false

  func run() throws {
    let source = try AdapterPlaces.resolve(adapter)
    let folder = URL(filePath: output)
    try AdapterPlaces.checkOutput(folder, inputs: [source], replacing: force)
    let isMLX = MLXAdapter.isOne(source)
    let stored = try isMLX ? MLXAdapter.read(source) : StoredLoRA(source, for: "converting")
    let target = to ?? (isMLX ? .peft : .mlx)
    switch target {
    case .peft: try stored.write(to: folder)
    case .mlx: try MLXAdapter.write(stored, to: folder)
    }
    try Terminal.output.write("wrote \(output): \(counted(stored.modules.count, "projection")) as \(target.rawValue)\n")
  }
}
