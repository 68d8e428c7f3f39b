import ArgumentParser
import Datasets

/// Which data a verb looks at.
struct DataArguments: ParsableArguments {
  @Argument(help: ArgumentHelp("Files or folders of samples: JSON lines, JSON, CSV or text.", valueName: "path"))
  var paths: [String]

  @Option(
    help: ArgumentHelp(
      "How the rows are written: auto, \(DatasetFormat.all.map(\.name).joined(separator: ", ")).", valueName: "name"))
  var format = "auto"

  func validate() throws {
    guard format == "auto" || DatasetFormat.all.contains(where: { $0.name == format }) else {
      let names = DatasetFormat.all.map(\.name).joined(separator: ", ")
      throw ValidationError("--format “\(format)” is not known; write one of auto, \(names)")
    }
  }

  /// The sources as the library takes them.
  var sources: [DataSource] { paths.map { DataSource(path: $0, format: format) } }
}
