/// A renderer whose template may itself say which parts of a conversation are the assistant's.
public protocol AssistantMarkingRenderer: ChatRenderer {
  /// The conversation and the UTF-8 ranges that `{% generation %}` blocks mark in it; nil where the template has no such blocks, or
  /// renders one into a variable so that its place is unknown.
  func renderMarkingAssistant(_ messages: [Message], tools: [JSON]?) throws -> (text: String, spans: [Range<Int>])?
}
