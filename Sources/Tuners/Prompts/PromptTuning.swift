import NN
import Text
import Torch

/// Prompt tuning: virtual tokens whose embeddings are learnt, and nothing else. Lester et al., arXiv:2104.08691. Under PEFT's names.
public struct PromptTuning: PromptMethod, Hashable {
  /// What virtual tokens begin as.
  public enum Start: String, Sendable, Hashable, CaseIterable {
    /// Tokens drawn from the vocabulary.
    case vocabulary = "SAMPLE_VOCAB"
    /// The tokens of a text, from the start again where they are fewer.
    case text = "TEXT"
    /// N(0, 1), which is far from any token of most models and learns little.
    case random = "RANDOM"
  }

  /// How many virtual tokens, from 1.
  public var virtualTokenCount = 20
  /// What they begin as.
  public var start = Start.vocabulary
  /// The text they begin as.
  public var text: String?
  /// Where the text's tokenizer was: PEFT's files name it.
  public var tokenizerPath: String?
  /// The sizes of the model.
  public var sizes = PromptSizes()
  private var textTokens: [Int32] = []

  /// 20 virtual tokens that begin as tokens drawn from the vocabulary.
  public init() {}

  /// `prompt_tuning`.
  public static var name: String { "prompt_tuning" }
  /// `PROMPT_TUNING`.
  public static var peftType: String? { "PROMPT_TUNING" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    promptSettings + [
      .choice("prompt_tuning_init", \.start), .string("prompt_tuning_init_text", \.text),
      .string("tokenizer_name_or_path", \.tokenizerPath).onlyInFile,
    ]
  }

  /// Checks that there is a text where one is asked for.
  public func validate() throws(TunerError) {
    guard sizes.areSaved || (start == .text) == (text != nil) else {
      throw TunerError(
        start == .text
          ? "prompt_tuning_init is TEXT, and prompt_tuning_init_text is missing: give the text"
          : "prompt_tuning_init_text is there, and prompt_tuning_init is \(start.rawValue): make it TEXT, or leave the text out")
    }
  }

  /// Takes the tokens of the text.
  public mutating func prepare(tokenizer: any Tokenizer, of model: String) {
    guard let text else { return }
    (textTokens, tokenizerPath) = (tokenizer.encode(text, addSpecialTokens: true), model)
  }

  func makePrompt(for model: any CausalLM) throws -> any TrainedPrompt {
    let count = virtualTokenCount
    if sizes.areSaved { return PromptTable(try .zeros([count, model.shape.hiddenSize], device: model.device)) }
    return switch start {
    case .random: PromptTable(try PromptStart.random([count, model.shape.hiddenSize], on: model.device))
    case .vocabulary:
      PromptTable(try PromptStart.rows(of: try PromptStart.sampled(count, from: model), count: count, in: model))
    case .text: PromptTable(try PromptStart.rows(of: textTokens, count: count, in: model))
    }
  }
}
