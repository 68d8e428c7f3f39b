import Checkpoints
import Foundation
import NN
import Text
import Tuners

/// A model ready for use: weights, tokenizer, template and adapters.
public final class LoadedModel {
  /// Weights and adapters.
  public let weights: ModelWeights
  /// Tokenizer and templates.
  public var text: TextSide { weights.vocabulary?.text ?? fileText }
  private let fileText: TextSide
  /// Ids at which an answer ends.
  public let stopTokens: Set<Int32>

  /// Loads a model by name or path.
  ///
  /// - Parameters:
  ///   - name: a name of the store, a Hugging Face folder or a `.gguf` file.
  ///   - options: element type, device and threads.
  ///   - store: where names are looked up.
  /// - Throws: an error of the part that failed, naming file, key or tensor.
  public init(_ name: String, options: ModelOptions = ModelOptions(), store: ModelStore = .standard) throws {
    let url = try store.resolve(name)
    // The tokenizer first: what is wrong with it shows before the weights are read.
    fileText = try TextSide(url)
    weights = try ModelWeights(url, options: options)
    stopTokens = Self.stopTokens(weights.files, tokenizer: fileText.tokenizer)
    let rows = weights.model.shape.vocabularySize
    guard fileText.tokenizer.vocabularySize <= rows else {
      throw RecipeError(
        "\(weights.path): the tokenizer has \(fileText.tokenizer.vocabularySize) tokens and the model \(rows) rows for them")
    }
  }

  /// The folder or file it came from.
  public var path: String { weights.path }
  /// The weights.
  public var model: any CausalLM { weights.model }
  /// The adapters installed.
  public var adapters: AdapterSet { weights.adapters }
  /// Sampling defaults of the model's files.
  public var generationConfig: JSON? { weights.files.generationConfig }

  /// Refuses a model that scores texts and has no head to predict tokens with.
  ///
  /// - Throws: ``RecipeError`` that says what such a model is for.
  public func refuseWithoutTokens() throws(RecipeError) { try weights.refuseWithoutTokens() }

  /// Installs saved adapters; the ones given last apply last, all together.
  ///
  /// - Parameters:
  ///   - folders: adapter folders, or folders of runs that hold one.
  ///   - anyBase: take adapters that were trained on other weights, too.
  /// - Throws: what ``ModelWeights/load(adapters:anyBase:scores:)`` throws.
  public func load(adapters folders: [String], anyBase: Bool = false) throws {
    try weights.load(adapters: folders, anyBase: anyBase)
  }

  /// The same with a weight for each.
  ///
  /// - Throws: what ``ModelWeights/load(weighted:anyBase:scores:)`` throws.
  public func load(weighted sources: [WeightedAdapter], anyBase: Bool = false) throws {
    try weights.load(weighted: sources, anyBase: anyBase)
  }

  /// The ids at which an answer ends: those the model's files list, and the tokenizer's end of text.
  static func stopTokens(_ files: ModelFiles, tokenizer: BPETokenizer) -> Set<Int32> {
    var ids: Set<Int32> = []
    for source in [files.generationConfig, files.config] {
      switch source?["eos_token_id"] {
      case .int(let id): ids.insert(Int32(clamping: id))
      case .array(let list): ids.formUnion(list.compactMap(\.int).map { Int32(clamping: $0) })
      default: break
      }
    }
    if let eos = tokenizer.special.eos, let id = tokenizer.id(of: eos) { ids.insert(id) }
    return ids
  }
}
