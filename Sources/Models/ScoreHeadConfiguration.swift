import NN
import Text

extension ModelConfiguration {
  /// The endings of `architectures` in models that score, without a head that predicts tokens.
  static let scoringClasses = (sequences: "ForSequenceClassification", tokens: "ForTokenClassification")

  /// The head of a model that scores texts, by its `architectures`; nil for one that predicts tokens.
  ///
  /// - Throws: ``ModelError`` where the number of scores is no number, or the head is one of a name of its own.
  public func scoreHead() throws(ModelError) -> ScoreHeadShape? {
    guard let name = json["architectures"]?.array?.first?.string else { return nil }
    let classifiesTokens = name.hasSuffix(Self.scoringClasses.tokens)
    guard classifiesTokens || name.hasSuffix(Self.scoringClasses.sequences) else { return nil }
    // transformers calls this one's head otherwise.
    guard !(classifiesTokens && name.hasPrefix("GPT2")) else {
      throw error("architectures", "is \(name), which is not supported; GPT2\(Self.scoringClasses.sequences) is")
    }
    // transformers names each label, and leaves out what is its default: two of them.
    let names = json["id2label"].flatMap { $0.isNull ? nil : $0 }
    let named = names.flatMap { names in (0...1 << 16).first { names[String($0)] == nil } }
    return ScoreHeadShape(labels: try size("num_labels", fallback: named ?? 2, limit: 1 << 16), hasBias: classifiesTokens)
  }

  /// The class of transformers that has such a head, and otherwise is the one called `name`: the first of `architectures`.
  public static func scoringClass(_ shape: ScoreHeadShape, insteadOf name: String) -> String {
    let ends = [scoringClasses.sequences, scoringClasses.tokens, "ForCausalLM", "LMHeadModel"]
    let stem = ends.first { name.hasSuffix($0) }.map { String(name.dropLast($0.count)) } ?? name
    return stem + (shape.hasBias ? scoringClasses.tokens : scoringClasses.sequences)
  }
}
