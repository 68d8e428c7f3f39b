import ArgumentParser
import Recipes

/// `attune bench load`: loading.
struct BenchLoad: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load",
    abstract: "Measure what loading a model takes: memory at its peak, and time.",
    discussion: """
      Memory is that of the whole process, pages of the mapped files included.

      Example:
        attune bench load --model models/mistral-7b --quantize nf4
      """)

  @OptionGroup var model: ModelName
  @OptionGroup var weights: QuantizationArguments
  @OptionGroup var machine: MachineArguments

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    var options = machine.options
    options.quantization = weights.quantization
    let result = try LoadingMeasurement.measure(try ModelStore.standard.resolve(model.name), options: options)
    if json {
      try Terminal.output.write(try JSONReport.text(result) + "\n")
    } else {
      try table(result).print()
    }
  }

  private func table(_ result: LoadingMeasurement) -> TextTable {
    var table = TextTable()
    table.append("model", "\(result.model), \(result.dtype)" + (result.quantization.map { ", quantized as \($0)" } ?? ""))
    table.append("weights", result.modelBytes.asBytes)
    table.append("largest tensor", result.largestTensorBytes.asBytes + " in its file")
    table.append("peak memory", result.peakMemoryBytes.asBytes)
    let above = max(0, result.overheadBytes).asBytes
    table.append("above both", "\(above); the program alone has \(result.startMemoryBytes.asBytes)")
    table.append("time", BenchFigure.seconds(result.seconds))
    return table
  }
}
