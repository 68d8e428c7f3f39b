import ArgumentParser
import Foundation
import Recipes

/// `attune delta apply`: the tuned model of base and delta.
struct DeltaApply: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apply",
    abstract: "Make the tuned model of its base and a delta.",
    discussion: """
      A base that is not the one the delta was made with is refused. Deltas that FastChat published do not name theirs and need \
      --any-base.

      Example:
        attune delta apply smollm2 merged-delta --output merged
      """)

  @Argument(help: "The base: a name of the model store, a Hugging Face folder, or a .gguf file.")
  var base: String

  @Argument(help: "The delta's folder.")
  var delta: String

  @Option(name: .shortAndLong, help: ArgumentHelp("The folder to write.", valueName: "folder"))
  var output: String

  @Flag(help: "Apply it to a base that it was not made with, or that it does not name; the shapes must fit.")
  var anyBase = false

  @OptionGroup var shards: ShardArguments

  @Flag(help: "Write into a folder that holds files; those of the same names are replaced.")
  var force = false

  func run() throws {
    let baseURL = try ModelStore.standard.resolve(base)
    let files = try Progress.showing { progress in
      try DeltaApplication(anyBase: anyBase, shardByteLimit: shards.maxShardSize.bytes).apply(
        URL(filePath: delta), to: baseURL, writing: URL(filePath: output), replacing: force, progress: progress)
    }
    try Terminal.output.write(files.map { "wrote \(output)/\($0)\n" }.joined())
  }
}
