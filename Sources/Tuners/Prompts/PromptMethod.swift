import NN
import OrderedCollections
import Text
import Torch

/// A method that learns virtual tokens, which stand before every row of tokens.
protocol PromptMethod: TuningMethod {
  /// How many virtual tokens, from 1.
  var virtualTokenCount: Int { get set }
  /// The sizes of the model the settings were written for.
  var sizes: PromptSizes { get set }
  /// Keys and values of how many features PEFT writes as `token_dim`, in how many heads.
  static func sizes(of shape: ModelShape) -> PromptSizes
  /// The prompt of a new adapter.
  ///
  /// - Throws: ``TunerError`` where it cannot begin as it should.
  func makePrompt(for model: any CausalLM) throws -> any TrainedPrompt
}

/// What PEFT writes beside a prompt of the model it belongs to.
public struct PromptSizes: Sendable, Hashable {
  /// Features of a virtual token; of a prefix, those of all keys of a layer.
  public var tokenDim: Int?
  /// Layers.
  public var layers: Int?
  /// Query heads; of a prefix, key heads.
  public var heads: Int?
  /// Decoders in the model.
  public var submodules: Int?
  /// Whether the settings are those of a saved adapter, whose files say what the virtual tokens are.
  var areSaved = false
}

/// A prompt with what an adapter's files and training need of it.
protocol TrainedPrompt: SoftPrompt {
  /// What is trained.
  var trained: [(path: String, value: Tensor)] { get }
  /// What PEFT's file holds.
  var saved: [SavedTensor] { get }
  /// What PEFT's file does not hold, and training needs.
  var state: [SavedTensor] { get }
}

extension TrainedPrompt {
  /// Nothing.
  var state: [SavedTensor] { [] }
}

/// The name of the virtual tokens in PEFT's files.
let promptTensorName = "prompt_embeddings"

extension PromptMethod {
  /// The keys that all methods with virtual tokens share.
  static var promptSettings: [Setting<Self>] {
    let limit = 1...(1 << 24)
    return [
      .int("num_virtual_tokens", \.virtualTokenCount, in: 1...65536),
      .int("token_dim", \.sizes.tokenDim, in: limit).onlyInFile, .int("num_layers", \.sizes.layers, in: limit).onlyInFile,
      .int("num_attention_heads", \.sizes.heads, in: limit).onlyInFile,
      .int("num_transformer_submodules", \.sizes.submodules, in: limit).onlyInFile,
    ]
  }

  /// The virtual tokens pass through the layers, which have query heads; how many is not among what a model tells.
  static func sizes(of shape: ModelShape) -> PromptSizes {
    PromptSizes(tokenDim: shape.hiddenSize, layers: shape.layerCount, submodules: 1)
  }

  /// 1e-2: what is learnt is rows, not the weights of products.
  public var learningRate: Double { 1e-2 }

  /// Takes each setting that has a key in `adapter_config.json`.
  public mutating func read(adapterConfig reader: AdapterConfigReader) throws {
    try reader.refuse(["modules_to_save"])
    sizes.areSaved = true
    try readSettings(reader)
  }

  /// Lets virtual tokens stand before every row of `model`.
  ///
  /// - Throws: ``TunerError`` where the settings belong to a model of other sizes, or its context has no room for the virtual
  ///   tokens; the model is as before then.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    try validate()
    let own = Self.sizes(of: model.shape)
    for (key, asked, there) in [
      ("token_dim", sizes.tokenDim, own.tokenDim), ("num_layers", sizes.layers, own.layers),
      ("num_attention_heads", sizes.heads, own.heads), ("num_transformer_submodules", sizes.submodules, own.submodules),
    ] {
      guard let asked, let there, asked != there else { continue }
      throw TunerError("“\(key)” is \(asked), and this model has \(there): the adapter belongs to another model")
    }
    guard virtualTokenCount < model.shape.contextLength else {
      throw TunerError(
        "num_virtual_tokens is \(virtualTokenCount), and the model's context of \(model.shape.contextLength) tokens has no room for "
          + "others beside them; ask for fewer")
    }
    let prompt = try makePrompt(for: model)
    prompt.train(model.isTraining)
    var installed = self
    installed.sizes = own
    installed.sizes.heads = own.heads ?? sizes.heads
    return Adapter(name: name, configuration: installed, parts: [PromptPart(prompt, named: name, in: model.prompts)])
  }
}

/// Virtual tokens as a part of an adapter.
final class PromptPart: AdapterPart {
  /// The prompt.
  let prompt: any TrainedPrompt
  private let name: String
  private let place: SoftPrompts

  /// Puts `prompt` into its place, not yet active.
  init(_ prompt: any TrainedPrompt, named name: String, in place: SoftPrompts) {
    (self.prompt, self.name, self.place) = (prompt, name, place)
    place.install(prompt, named: name)
  }

  var trained: [(path: String, value: Tensor)] { prompt.trained }
  var saved: [SavedTensor] { prompt.saved }
  var state: [SavedTensor] { prompt.state }

  /// Each row may have virtual tokens of its own before it.
  var servesRows: Bool { true }

  func activate(_ on: Bool) { place.activate(name, on) }
  func remove() { place.remove(name) }

  func merge() throws -> () -> Void {
    throw TunerError(
      "the adapter “\(name)” learnt virtual tokens, which no weights can hold: it cannot be merged; keep the adapter beside the "
        + "model and load it with --adapter")
  }
}
