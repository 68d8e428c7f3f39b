import Torch

extension ModelShape {
  /// The same with as many tokens as a table has rows, which may have grown since it was made.
  public func withVocabulary(of table: Embedding) -> ModelShape {
    var shape = self
    shape.vocabularySize = table.weight.shape[0]
    return shape
  }
}

extension CausalLM {
  /// Gives tokens rows that are means of other rows: new rows where there are none yet.
  ///
  /// With E [V, d] the token table, and the same for the rows of a head of its own:
  ///
  ///     E[tokenᵢ] = mean over p in piecesᵢ of E[p]
  ///
  /// The model must have no adapters.
  ///
  /// - Parameters:
  ///   - tokens: the tokens, from the first without a row on without gaps.
  ///   - pieces: for each the tokens whose mean it is, one at least.
  /// - Throws: `TorchError` where the head has no numbers to add rows to.
  public func setRows(of tokens: [Int], toMeansOf pieces: [[Int]]) throws(TorchError) {
    guard let head = head as? Linear else {
      throw TorchError(operation: "new tokens", message: "the head is quantized, and cannot take the rows of new tokens")
    }
    let index = try Tensor(tokens.map(Int64.init)).to(device)
    let table = try grown(embedding.weight, tokens, index, pieces)
    let rows = isTied ? table : try grown(head.weight, tokens, index, pieces)
    let bias = try head.bias.map { bias throws(TorchError) in
      try Tensor.concatenated([bias, .zeros([rows.shape[0] - bias.shape[0]], dtype: bias.dtype, device: device)], 0)
    }
    embedding.weight = table
    self.head = Linear(weight: rows, bias: bias)
  }

  /// A table [V + n, d] with rows that are means.
  private func grown(_ table: Tensor, _ tokens: [Int], _ index: Tensor, _ pieces: [[Int]]) throws(TorchError) -> Tensor {
    let (count, size) = (table.shape[0], table.shape[1])
    var means: [Tensor] = []
    for list in pieces {
      means.append(try table.detached().indexed(0, try Tensor(list.map(Int64.init)).to(device)).to(.float32).mean(0))
    }
    let missing = max(0, (tokens.max() ?? 0) + 1 - count)
    let room = try Tensor.concatenated([table.detached(), .zeros([missing, size], dtype: table.dtype, device: device)], 0)
    let places = try index.unsqueezed(1).expanded(tokens.count, size)
    return try room.scattered(0, places, try .stacked(means).to(table.dtype))
  }
}
