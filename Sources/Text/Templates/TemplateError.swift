/// Why a chat template could not be read or rendered, and where.
public struct TemplateError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What kind of failure it is.
  public enum Kind: Sendable, Hashable {
    /// The template is not well formed, or uses a construct that is not supported.
    case syntax
    /// A value is undefined, has the wrong type or lacks what the template asks of it.
    case evaluation
    /// A limit on work, output or nesting was reached.
    case limit
    /// The template itself refused the conversation with `raise_exception`; ``TemplateError/problem`` is its text.
    case refused
  }

  /// What kind of failure it is.
  public let kind: Kind
  /// What is wrong; for ``Kind/refused`` the text the template gave, unchanged.
  public let problem: String
  /// The line of the template, from 1.
  public let line: Int
  /// The name of the template.
  public let template: String

  /// An error at a line of a template.
  public init(kind: Kind, problem: String, line: Int, template: String) {
    self.kind = kind
    self.problem = problem
    self.line = line
    self.template = template
  }

  /// The place, then what is wrong.
  public var description: String {
    let place = "line \(line) of the template “\(template)”"
    return switch kind {
    case .syntax: "\(place) cannot be read: \(problem)"
    case .evaluation: "\(place) cannot be rendered: \(problem)"
    case .limit: "\(place) was stopped: \(problem)"
    case .refused: "the template “\(template)” refuses the conversation (line \(line)): \(problem)"
    }
  }
}

/// A failure whose place is not known yet; the parser or interpreter adds it.
struct TemplateFailure: Error {
  let kind: TemplateError.Kind
  let problem: String

  init(_ problem: String, kind: TemplateError.Kind = .evaluation) {
    self.kind = kind
    self.problem = problem
  }
}
