import Text

extension GGUFMetadata {
  /// The vocabulary under `tokenizer.ggml.`, for a tokenizer to be made of.
  ///
  /// - Throws: ``CheckpointError`` where there is none or a value is of the wrong kind.
  public func vocabulary() throws(CheckpointError) -> GGUFVocabulary {
    let prefix = "tokenizer.ggml."
    guard let model = try string(prefix + "model"), let tokens = try strings(prefix + "tokens") else {
      throw CheckpointError(.missing, at: path, "has no vocabulary: \(prefix)model or \(prefix)tokens is missing")
    }
    return GGUFVocabulary(
      model: model, pre: try string(prefix + "pre"), tokens: tokens, scores: try floats(prefix + "scores") ?? [],
      types: (try ints(prefix + "token_type") ?? []).map { Int32(clamping: $0) }, merges: try strings(prefix + "merges") ?? [],
      bosID: try int(prefix + "bos_token_id"), eosID: try int(prefix + "eos_token_id"),
      padID: try int(prefix + "padding_token_id"), unkID: try int(prefix + "unknown_token_id"),
      addBOS: try bool(prefix + "add_bos_token"), addEOS: try bool(prefix + "add_eos_token"),
      addSpacePrefix: try bool(prefix + "add_space_prefix"))
  }
}
