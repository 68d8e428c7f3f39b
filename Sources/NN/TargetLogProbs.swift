import Torch

extension CausalLM {
  /// ln p(target) after each row, in float32: [N], each with a gradient of its own. hidden [N, d]; targets [N] int64.
  ///
  /// What preference and reinforcement objectives are made of, and scores of given texts. Where the head is a plain product its logits
  /// are never whole; otherwise they exist for a few rows at a time, 64 MB in float32, as long as no gradients are wanted.
  public func logProbs(of targets: Tensor, after hidden: Tensor) throws(TorchError) -> Tensor {
    if let head = head as? Linear, let numbers = try head.linearWeight(for: hidden.dtype) {
      return try hidden.linearLogProbs(weight: numbers.weight, bias: numbers.bias, targets: targets)
    }
    let count = try targets.size(0)
    let step = max(1, (1 << 24) / shape.vocabularySize)
    guard count > step else { return try head.forward(hidden).tokenLogProbs(targets) }
    var parts: [Tensor] = []
    for start in stride(from: 0, to: count, by: step) {
      let rows = start..<min(start + step, count)
      parts.append(try head.forward(try hidden.narrowed(0, rows)).tokenLogProbs(try targets.narrowed(0, rows)))
    }
    return try .concatenated(parts, 0)
  }
}
