import ArgumentParser

/// `attune adapters`: adapters as things of their own.
struct AdaptersCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "adapters",
    abstract: "List, look over, rename, merge, combine, convert and extract adapters.",
    discussion: """
      An adapter is a folder as PEFT writes it; where a verb takes one, the folder of a run will do, too.

      Example:
        attune adapters inspect runs/tone
      """,
    subcommands: [
      AdapterList.self, AdapterInspection.self, AdapterRename.self, Merge.self, AdapterCombine.self, AdapterConvert.self,
      AdapterExtract.self,
    ])
}
