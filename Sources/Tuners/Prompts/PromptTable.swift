import NN
import Torch

/// Virtual tokens that are learnt as they are: a table of rows. Lester et al., arXiv:2104.08691.
final class PromptTable: Module, TrainedPrompt {
  /// [n, d] float32.
  @Param("embedding.weight") var table: Tensor

  /// The rows of `table`.
  init(_ table: Tensor) {
    super.init()
    self.table = table
  }

  var count: Int { table.shape.first ?? 0 }

  func virtualTokens(rows: Int, tasks: [Int]) throws(TorchError) -> VirtualTokens { .rows(try table.repeated(rows)) }

  var trained: [(path: String, value: Tensor)] { [(promptTensorName, table)] }
  var saved: [SavedTensor] { [SavedTensor(promptTensorName, table)] }
}

extension Tensor {
  /// [n, d] as [rows, n, d]; what each row gives to the gradient is summed in the table's own element type.
  func repeated(_ rows: Int) throws(TorchError) -> Tensor {
    let shape = shape
    return try unsqueezed(0).expanded(rows, shape[0], shape[1])
  }
}

/// How virtual tokens begin that are rows like a model's own.
enum PromptStart {
  /// N(0, 1).
  static func random(_ shape: [Int], on device: Device) throws(TorchError) -> Tensor {
    let table = try Tensor.empty(shape, device: device)
    try table.normalInPlace()
    return table
  }

  /// The rows of `tokens` in the model's table, in float32, from the start again where there are fewer than `count`.
  static func rows(of tokens: [Int32], count: Int, in model: any CausalLM) throws -> Tensor {
    let chosen = try tiled(tokens, count, model)
    let ids = try Tensor(chosen, shape: [count]).to(.int64).to(model.device)
    return try withoutGradients { () throws(TorchError) in try model.embedding.forward(ids).to(.float32).clone() }
  }

  /// The keys and values of `tokens` in each layer, in float32 [n, 2·L·Hk·D]: of layer l the keys as part 2l, the values as 2l + 1.
  static func keysAndValues(of tokens: [Int32], count: Int, in model: any CausalLM) throws -> Tensor {
    let chosen = try tiled(tokens, count, model)
    let cache = model.makeCache()
    let wasTraining = model.isTraining
    model.train(false)
    defer { model.train(wasTraining) }
    return try withoutGradients { () throws(TorchError) in
      _ = try model.hidden(try ModelInput(rows: [chosen], cache: cache, device: model.device))
      let parts = try cache.contents(ofRow: 0).flatMap { [$0.keys, $0.values] }
      return try Tensor.concatenated(try parts.map { (part) throws(TorchError) in try part.reshaped(count, -1) }, 1).to(.float32)
    }
  }

  /// `count` tokens drawn from the vocabulary.
  static func sampled(_ count: Int, from model: any CausalLM) throws -> [Int32] {
    let draws = try Tensor.empty([count])
    try draws.uniformInPlace(0, 1)
    let size = model.shape.vocabularySize
    return try draws.array(Float.self).map { Int32(min(size - 1, Int(Double($0) * Double(size)))) }
  }

  private static func tiled(_ tokens: [Int32], _ count: Int, _ model: any CausalLM) throws(TunerError) -> [Int32] {
    guard !tokens.isEmpty else { throw TunerError("the text that virtual tokens are to begin as has no tokens") }
    if let wrong = tokens.first(where: { $0 < 0 || Int($0) >= model.shape.vocabularySize }) {
      throw TunerError(
        "the text that virtual tokens are to begin as has the token \(wrong), and the model's run from 0 to "
          + "\(model.shape.vocabularySize - 1)")
    }
    return (0..<count).map { tokens[$0 % tokens.count] }
  }
}
