/// Renders conversations into the text a model was trained on.
///
/// The one implementation for real models is `ChatTemplate`, which interprets the model's own Jinja template.
public protocol ChatRenderer: Sendable {
  /// The whole conversation as text.
  ///
  /// - Parameters:
  ///   - messages: the turns.
  ///   - tools: JSON schemas of the tools on offer; nil for none.
  ///   - addGenerationPrompt: end with the opening of an assistant's turn.
  /// - Throws: what the template refuses (`raise_exception`) or what it cannot do, with line and construct.
  func render(_ messages: [Message], tools: [JSON]?, addGenerationPrompt: Bool) throws -> String
}
