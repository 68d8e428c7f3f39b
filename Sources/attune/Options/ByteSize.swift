import ArgumentParser
import Checkpoints

/// A size of files as people write it: `5GB`, `500MB`, `1.5GB`, or a number of bytes.
struct ByteSize: ExpressibleByArgument {
  /// Bytes, from 1.
  let bytes: Int

  private static let units: [(name: String, bytes: Double)] = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1), ("", 1)]

  init?(argument: String) {
    let text = argument.uppercased()
    guard let unit = Self.units.first(where: { text.hasSuffix($0.name.uppercased()) }),
      let number = Double(text.dropLast(unit.name.count)), number.isFinite, number * unit.bytes >= 1, number * unit.bytes < 1e18
    else { return nil }
    bytes = Int(number * unit.bytes)
  }

  init(bytes: Int) { self.bytes = bytes }

  var defaultValueDescription: String { bytes.asBytes.replacing(".0 ", with: "").replacing(" ", with: "") }
}

/// How weights are cut into files.
struct ShardArguments: ParsableArguments {
  @Option(help: ArgumentHelp("The most that one file of weights holds; a larger tensor has one of its own.", valueName: "size"))
  var maxShardSize = ByteSize(bytes: Safetensors.defaultShardByteLimit)
}
