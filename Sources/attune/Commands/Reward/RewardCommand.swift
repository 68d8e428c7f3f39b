import ArgumentParser

/// `attune reward`: what is done with reward models.
struct RewardCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reward", abstract: "Use reward models: models with a head that scores texts.", subcommands: [RewardScore.self])
}
