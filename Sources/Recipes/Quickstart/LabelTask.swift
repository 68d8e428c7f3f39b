import Datasets
import Evaluation
import Foundation
import Text

/// Conversations whose last answer is one of a few words, as a classification task.
public struct LabelTask: Sendable {
  /// The words, sorted.
  public let labels: [String]
  private let samples: [Sample]

  /// The task of a data file; its labels are the answers that occur.
  ///
  /// - Throws: what reading the file throws; ``RecipeError`` where rows are no conversations or there are more than 50 answers.
  public init(_ path: String) throws {
    samples = try Dataset.load([DataSource(path: path)]).samples
    for sample in samples where sample.messages?.last?.role != "assistant" {
      throw RecipeError("\(sample.location): a row must be a conversation that ends in an answer")
    }
    labels = Set(samples.map(\.answer)).sorted()
    guard labels.count <= 50 else { throw RecipeError("\(path) has \(labels.count) different answers: these are no classes") }
  }

  /// The number of rows.
  public var count: Int { samples.count }

  /// The question of row `index` as the model sees it, after `examples` as earlier turns.
  public func prompt(_ index: Int, examples: LabelTask? = nil, template: ChatTemplate) throws -> String {
    let earlier = examples?.samples.flatMap { $0.messages ?? [] } ?? []
    let own = samples[index].messages ?? []
    return try template.render(earlier + own.dropLast(), tools: nil, addGenerationPrompt: true)
  }

  /// What row `index` asks.
  public func question(_ index: Int) -> String { samples[index].messages?.dropLast().last?.content ?? "" }

  /// Every row with the labels to choose from.
  public func items(examples: LabelTask? = nil, text: TextSide) throws -> [ChoiceItem] {
    guard let template = try text.template() else { throw RecipeError("\(text.path) has no chat template") }
    let choices = labels.map { text.tokenizer.encode($0, addSpecialTokens: false) }
    return try samples.indices.map { index in
      ChoiceItem(
        prompt: text.tokenizer.encode(try prompt(index, examples: examples, template: template), addSpecialTokens: false),
        choices: choices, answer: labels.firstIndex(of: samples[index].answer) ?? 0)
    }
  }
}
