import ArgumentParser
import Foundation
import Recipes
import Torch

/// `attune bench model`: a model of random numbers.
struct BenchModel: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model",
    abstract: "Write a model of random numbers in a given shape, for others to measure on too.",
    discussion: """
      The folder holds config.json and the weights, and no tokenizer. Tensors are made and written one by one.

      Example:
        attune bench model smollm2-135m --dtype bf16 --output runs/bench/smollm2-135m
      """)

  @Argument(help: "The shape: \(BenchShape.known.map(\.name).joined(separator: ", ")), or the path of a config.json.")
  var shape: String

  @Option(help: "The element type in the file. auto: bf16 where the processor multiplies it in hardware, else f32.")
  var dtype = DTypeChoice.auto

  @Flag(help: "Set every dropout of the model's own to 0.")
  var noDropout = false

  @Option(help: ArgumentHelp("Where the random numbers start.", valueName: "n"))
  var seed: UInt64 = 42

  @OptionGroup var shards: ShardArguments

  @Option(name: .shortAndLong, help: ArgumentHelp("The folder to write.", valueName: "folder"))
  var output: String

  func run() throws {
    let shape = try BenchShape(named: shape)
    let type = ModelOptions(dtype: dtype.dtype).resolvedDType(on: .cpu)
    let folder = URL(filePath: output).standardizedFileURL
    try RandomModel.write(
      noDropout ? shape.withoutDropout : shape, dtype: type, seed: seed, shardByteLimit: shards.maxShardSize.bytes, to: folder)
    try Terminal.output.write(folder.path + "\n")
  }
}
