import ArgumentParser
import Foundation
import Recipes

/// `attune adapters rename`: another name for an adapter's folder, or for its base.
struct AdapterRename: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rename",
    abstract: "Give an adapter another name, or name its base anew.",
    discussion: """
      The name of an adapter is that of its folder: by it --adapter, a request's “adapter” and PEFT know it. --base changes \
      base_model_name_or_path, by which PEFT finds the model.

      Example:
        attune adapters rename adapters/tone tone-v2 --base HuggingFaceTB/SmolLM2-135M-Instruct
      """)

  @Argument(help: "The adapter's folder.")
  var adapter: String

  @Argument(help: "The new name, without a path.")
  var name: String?

  @Option(help: ArgumentHelp("The model's name to write into the adapter's settings.", valueName: "name"))
  var base: String?

  func validate() throws {
    if name == nil, base == nil { throw ValidationError("give a new name, or --base, or both") }
  }

  func run() throws {
    var folder = try AdapterPlaces.resolve(adapter)
    if let name { folder = try AdapterPlaces.rename(adapter, to: name) }
    if let base { try AdapterPlaces.setBase(base, of: folder) }
    Log.line(folder.path)
  }
}
