/// What `tokenizer_config.json` adds to a `tokenizer.json`.
struct TokenizerConfiguration {
  var special = SpecialTokens()
  var addsBOS: Bool?
  var addsEOS: Bool?

  init(_ bytes: [UInt8]) throws(TokenizerError) {
    let source = "tokenizer_config.json"
    let value: JSON
    do throws(JSONError) { value = try JSON(parsing: bytes) } catch { throw TokenizerError(source, "", "\(error)") }
    let root = ComponentField(value: value, source: source, path: "")
    guard value.object != nil else { throw root.wrongType("an object") }
    special = SpecialTokens(
      bos: try TokenizerConfiguration.token("bos_token", in: root), eos: try TokenizerConfiguration.token("eos_token", in: root),
      pad: try TokenizerConfiguration.token("pad_token", in: root), unk: try TokenizerConfiguration.token("unk_token", in: root))
    addsBOS = try root["add_bos_token"]?.bool()
    addsEOS = try root["add_eos_token"]?.bool()
  }

  /// A token given as a string or as an object with its `content`.
  private static func token(_ key: String, in root: ComponentField) throws(TokenizerError) -> String? {
    guard let field = root[key] else { return nil }
    return try (field["content"] ?? field).string()
  }
}
