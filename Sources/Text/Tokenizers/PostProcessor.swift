/// What is put around the ids of a text.
struct PostProcessor: Sendable, Hashable {
  var prefix: [Int32] = []
  var suffix: [Int32] = []
}

extension PostProcessor {
  /// What a `post_processor` entry puts around a single text. `ids` tells whether the vocabulary has an id.
  init(_ field: ComponentField, isKnown: (Int32) -> Bool) throws(TokenizerError) {
    let kind = try field.required("type").string()
    switch kind {
    case "ByteLevel": break  // moves offsets only
    case "Sequence":
      for element in try field.required("processors").elements() {
        let inner = try PostProcessor(element, isKnown: isKnown)
        prefix = inner.prefix + prefix
        suffix += inner.suffix
      }
    case "BertProcessing", "RobertaProcessing":
      prefix = [try PostProcessor.pair(field.required("cls"), isKnown)]
      suffix = [try PostProcessor.pair(field.required("sep"), isKnown)]
    case "TemplateProcessing": try readTemplate(field, isKnown)
    default: throw field.error("the post-processor “\(kind)” is not supported")
    }
  }

  /// `[token, id]`.
  private static func pair(_ field: ComponentField, _ isKnown: (Int32) -> Bool) throws(TokenizerError) -> Int32 {
    let elements = try field.elements()
    guard elements.count == 2 else { throw field.error("expected a token and its id") }
    return try known(elements[1], isKnown)
  }

  private static func known(_ field: ComponentField, _ isKnown: (Int32) -> Bool) throws(TokenizerError) -> Int32 {
    let id = try field.tokenID()
    guard isKnown(id) else { throw field.error("no token has the id \(id)") }
    return id
  }

  private mutating func readTemplate(_ field: ComponentField, _ isKnown: (Int32) -> Bool) throws(TokenizerError) {
    var sequences = 0
    for element in try field.required("single").elements() {
      if let sequence = element["Sequence"] {
        let name = try sequence.required("id").string()
        guard name == "A" else { throw sequence.error("a template for one text cannot hold the sequence “\(name)”") }
        sequences += 1
        continue
      }
      let reference = try element.required("SpecialToken").required("id")
      let ids = try PostProcessor.ids(of: reference, in: field, isKnown)
      if sequences == 0 { prefix += ids } else { suffix += ids }
    }
    guard sequences == 1 else { throw field.error("the template “single” holds the sequence “A” \(sequences) times, not once") }
  }

  private static func ids(
    of reference: ComponentField, in field: ComponentField, _ isKnown: (Int32) -> Bool
  ) throws(TokenizerError) -> [Int32] {
    let name = try reference.string()
    guard let entry = try field.required("special_tokens")[name] else {
      throw reference.error("the token “\(name)” is not among the template's special_tokens")
    }
    var ids: [Int32] = []
    for id in try entry.required("ids").elements() { ids.append(try known(id, isKnown)) }
    return ids
  }
}
