import NN
import OrderedCollections
import Text
import Torch

/// P-tuning: virtual tokens that a small network makes, which is learnt with what it takes. Liu et al., arXiv:2103.10385. Under
/// PEFT's names.
public struct PTuning: PromptMethod, Hashable {
  /// The network.
  public enum Encoder: String, Sendable, Hashable, CaseIterable {
    /// Three linear layers.
    case mlp = "MLP"
    /// A bidirectional LSTM before two linear layers.
    case lstm = "LSTM"
  }

  /// How many virtual tokens, from 1.
  public var virtualTokenCount = 20
  /// The network.
  public var encoder = Encoder.mlp
  /// Its inner features; nil for those of a token.
  public var hiddenSize: Int?
  /// Layers of the LSTM.
  public var layerCount = 2
  /// Share of the states between layers of the LSTM that are dropped in training.
  public var dropout = 0.0
  /// The sizes of the model.
  public var sizes = PromptSizes()

  /// 20 virtual tokens made by linear layers.
  public init() {}

  /// `p_tuning`.
  public static var name: String { "p_tuning" }
  /// `P_TUNING`.
  public static var peftType: String? { "P_TUNING" }

  /// 1e-3: what is learnt are a network's weights.
  public var learningRate: Double { 1e-3 }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    promptSettings + [
      .choice("encoder_reparameterization_type", \.encoder), .int("encoder_hidden_size", \.hiddenSize, in: 1...65536),
      .int("encoder_num_layers", \.layerCount, in: 1...64), .double("encoder_dropout", \.dropout, in: 0...0.999),
    ]
  }

  /// Checks that what only the LSTM has is asked of it alone.
  public func validate() throws(TunerError) {
    guard !sizes.areSaved, encoder == .mlp, layerCount != Self().layerCount else { return }
    throw TunerError("encoder_num_layers is \(layerCount), and the MLP has three layers: leave it out, or choose the LSTM")
  }

  /// The settings with the size of the network.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> {
    var config = savedSettings
    if hiddenSize == nil, let size = sizes.tokenDim { config["encoder_hidden_size"] = .int(size) }
    return config
  }

  func makePrompt(for model: any CausalLM) throws -> any TrainedPrompt {
    let size = model.shape.hiddenSize
    let rows = try PromptStart.random([virtualTokenCount, size], on: model.device)
    let inner = hiddenSize ?? size
    switch encoder {
    case .mlp:
      return MLPPrompt(
        rows, try Perceptron([size, inner, inner, size], on: model.device) { x throws(TorchError) in try x.relu() })
    case .lstm:
      return LSTMPrompt(
        rows, try BidirectionalLSTM(size, size: inner, layers: layerCount, dropout: dropout, on: model.device),
        try Perceptron([2 * inner, 2 * inner, size], on: model.device) { x throws(TorchError) in try x.relu() })
    }
  }
}

/// Rows through three linear layers.
private final class MLPPrompt: EncodedPrompt, TrainedPrompt {
  @Child("mlp_head") private var head: Perceptron

  init(_ rows: Tensor, _ head: Perceptron) {
    super.init(embedding: rows)
    self.head = head
  }

  override func encode(_ rows: Tensor) throws(TorchError) -> Tensor { try head.forward(rows) }
  override var encoder: [(name: String, value: Tensor)] { head.parameters().map { ("mlp_head.\($0.path)", $0.value) } }

  func virtualTokens(rows: Int, tasks: [Int]) throws(TorchError) -> VirtualTokens { .rows(try result().repeated(rows)) }
}

/// Rows through an LSTM in both directions and two linear layers.
private final class LSTMPrompt: EncodedPrompt, TrainedPrompt {
  @Child("lstm_head") private var states: BidirectionalLSTM
  @Child("mlp_head") private var head: Perceptron

  init(_ rows: Tensor, _ states: BidirectionalLSTM, _ head: Perceptron) {
    super.init(embedding: rows)
    (self.states, self.head) = (states, head)
  }

  override func encode(_ rows: Tensor) throws(TorchError) -> Tensor { try head.forward(try states.forward(rows)) }

  override var encoder: [(name: String, value: Tensor)] {
    states.weights.map { ("lstm_head.\($0.name)", $0.value) }
      + head.parameters().map { ("mlp_head.\($0.path)", $0.value) }
  }

  func virtualTokens(rows: Int, tasks: [Int]) throws(TorchError) -> VirtualTokens { .rows(try result().repeated(rows)) }
}
