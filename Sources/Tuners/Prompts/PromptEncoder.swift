import NN
import Torch

/// Linear layers with a function between each two of them, under the numbers they have in PEFT: `0`, `2`, `4`.
final class Perceptron: Module {
  @Child("0") private var first: Linear
  @Child("2") private var second: Linear
  @OptionalChild("4") private var third: Linear?
  private let activation: (Tensor) throws(TorchError) -> Tensor

  /// Layers of these widths, 3 or 4 of them: U(−1/√in, 1/√in), as torch fills a linear layer.
  init(
    _ widths: [Int], on device: Device, _ activation: @escaping (Tensor) throws(TorchError) -> Tensor
  ) throws(TorchError) {
    self.activation = activation
    super.init()
    first = try .filled(widths[0], widths[1], on: device)
    second = try .filled(widths[1], widths[2], on: device)
    third = widths.count > 3 ? try .filled(widths[2], widths[3], on: device) : nil
  }

  /// x [n, in] → [n, out].
  func forward(_ x: Tensor) throws(TorchError) -> Tensor {
    let inner = try second.forward(try activation(try first.forward(x)))
    guard let third else { return inner }
    return try third.forward(try activation(inner))
  }

  /// Lets the last layer give zeros.
  func zeroOutput() throws(TorchError) {
    let last = third ?? second
    try last.weight.fillInPlace(0)
    try last.bias?.fillInPlace(0)
  }
}

extension Linear {
  fileprivate static func filled(_ inputs: Int, _ outputs: Int, on device: Device) throws(TorchError) -> Linear {
    let bound = 1 / Double(inputs).squareRoot()
    let (weight, bias) = (
      try Tensor.empty([outputs, inputs], device: device), try Tensor.empty([outputs], device: device)
    )
    try weight.uniformInPlace(-bound, bound)
    try bias.uniformInPlace(-bound, bound)
    return Linear(weight: weight, bias: bias)
  }
}

/// A bidirectional LSTM under torch's names: `weight_ih_l0`, `weight_hh_l0_reverse` …
final class BidirectionalLSTM: Module {
  @NamedChildren("cells", asModule: { $0 }) private var cells: [(name: String, module: LSTMWeights)]
  private let dropout: Double

  /// `layers` layers of `size` states in each direction, over `inputs` features: U(−1/√size, 1/√size).
  init(_ inputs: Int, size: Int, layers: Int, dropout: Double, on device: Device) throws(TorchError) {
    self.dropout = dropout
    super.init()
    for layer in 0..<layers {
      for suffix in ["l\(layer)", "l\(layer)_reverse"] {
        cells.append((suffix, try LSTMWeights(layer == 0 ? inputs : 2 * size, size: size, on: device)))
      }
    }
  }

  /// x [n, in] → [n, 2·size].
  func forward(_ x: Tensor) throws(TorchError) -> Tensor {
    try x.bidirectionalLSTM(cells.flatMap(\.module.all), layers: cells.count / 2, dropout: isTraining ? dropout : 0)
  }

  /// Every weight under its name.
  var weights: [(name: String, value: Tensor)] {
    cells.flatMap { suffix, cell in
      zip(["weight_ih", "weight_hh", "bias_ih", "bias_hh"], cell.all).map { ("\($0)_\(suffix)", $1) }
    }
  }
}

/// The weights of one layer in one direction.
final class LSTMWeights: Module {
  @Param("weight_ih") private var input: Tensor
  @Param("weight_hh") private var hidden: Tensor
  @Param("bias_ih") private var inputBias: Tensor
  @Param("bias_hh") private var hiddenBias: Tensor

  init(_ inputs: Int, size: Int, on device: Device) throws(TorchError) {
    super.init()
    input = try .empty([4 * size, inputs], device: device)
    hidden = try .empty([4 * size, size], device: device)
    inputBias = try .empty([4 * size], device: device)
    hiddenBias = try .empty([4 * size], device: device)
    let bound = 1 / Double(size).squareRoot()
    for weight in all { try weight.uniformInPlace(-bound, bound) }
  }

  var all: [Tensor] { [input, hidden, inputBias, hiddenBias] }
}

/// Rows that an encoder turns into what is put before the tokens. PEFT's files hold the encoder's result alone; the encoder is kept
/// beside them. A prompt read from a file without it is the result, and learns as a table.
class EncodedPrompt: Module {
  /// What the encoder takes [n, in].
  @Param("embedding.weight") var embedding: Tensor
  /// The encoder's result [n, out] where there is no encoder any more.
  @Param("table") private(set) var table: Tensor?
  /// Whether the encoder was read from a file, whose result says nothing new then.
  private var encoderIsRead = false

  /// An encoder that takes `embedding`.
  init(embedding: Tensor) {
    super.init()
    self.embedding = embedding
  }

  /// What the encoder makes of its rows: [n, in] → [n, out].
  func encode(_ rows: Tensor) throws(TorchError) -> Tensor { rows }
  /// The encoder's weights, under PEFT's names.
  var encoder: [(name: String, value: Tensor)] { [] }
  /// [n, out].
  var resultShape: [Int] { embedding.shape }

  /// n.
  final var count: Int { embedding.shape.first ?? 0 }

  /// What stands before the tokens [n, out].
  final func result() throws(TorchError) -> Tensor {
    if let table { return table }
    return try encode(embedding)
  }

  private var encoderParts: [(name: String, value: Tensor)] { [("embedding.weight", embedding)] + encoder }

  final var trained: [(path: String, value: Tensor)] {
    if let table { return [(promptTensorName, table)] }
    return encoderParts.map { ("prompt_encoder.\($0.name)", $0.value) }
  }

  final var saved: [SavedTensor] {
    [
      SavedTensor(
        promptTensorName, shape: resultShape,
        value: { [self] () throws(TorchError) in
          try withoutTraining { () throws(TorchError) in try result().detached() }
        },
        restore: { [self] rows throws(TorchError) in
          if !encoderIsRead { table = try rows.detached().to(.float32).to(embedding.device).clone() }
          encoderIsRead = false
        })
    ]
  }

  final var state: [SavedTensor] {
    if table != nil { return [] }
    return encoderState
  }

  /// The encoder's tensors; once they are read back, it is there again.
  private var encoderState: [SavedTensor] {
    encoderParts.map { name, value in
      SavedTensor(
        "prompt_encoder.\(name)", shape: value.shape, value: { () throws(TorchError) in value },
        restore: { [self] source throws(TorchError) in
          try value.copyInPlace(source)
          (table, encoderIsRead) = (nil, true)
        })
    }
  }

  /// Runs `body` without gradients and dropout.
  private func withoutTraining<Result>(_ body: () throws(TorchError) -> Result) throws(TorchError) -> Result {
    let wasTraining = isTraining
    train(false)
    defer { train(wasTraining) }
    return try withoutGradients(body)
  }
}
