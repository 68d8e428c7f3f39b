/// Bounds that keep an untrusted template from hanging the program or filling its memory.
public struct TemplateLimits: Sendable, Hashable {
  /// Work units: about one per expression evaluated, and one more per 16 bytes of text or container built.
  public var steps: Int
  /// Bytes of the rendered text, and of every string made on the way.
  public var textBytes: Int

  /// Limits of one's own; the defaults suit conversations of several million characters.
  public init(steps: Int = 10_000_000, textBytes: Int = 16 << 20) {
    self.steps = steps
    self.textBytes = textBytes
  }

  /// How deep brackets may nest in a template; deeper reading would need a large stack.
  static let bracketDepth = 32
  /// How deep the operators, filters and calls of one expression may nest once it is read.
  static let expressionDepth = 100
  /// How deep statements of a template may nest.
  static let statementDepth = 50
  /// How deep lists and dictionaries may nest.
  static let valueDepth = 128
  /// How many evaluations, macros included, may be under way inside one another.
  static let evaluationDepth = 200
  /// How many numbers a `range` may hold, as in Jinja's sandbox.
  static let rangeCount = 100_000
}

/// What is left of the limits during one rendering.
final class TemplateBudget {
  private let limits: TemplateLimits
  private var stepsLeft: Int

  init(_ limits: TemplateLimits) {
    self.limits = limits
    stepsLeft = limits.steps
  }

  func charge(_ steps: Int = 1) throws {
    stepsLeft -= min(steps, stepsLeft + 1)
    guard stepsLeft >= 0 else {
      throw TemplateFailure("it takes more than \(limits.steps) steps", kind: .limit)
    }
  }

  /// Pays for a string about to be made.
  func charge(bytes: Int) throws {
    guard bytes <= limits.textBytes else {
      throw TemplateFailure("a text would be longer than \(limits.textBytes) bytes", kind: .limit)
    }
    try charge(1 + bytes / 16)
  }

  /// Pays for `bytes` bytes about to be added to a string of `length` bytes.
  func charge(appending bytes: Int, to length: Int) throws {
    guard length <= limits.textBytes - min(bytes, limits.textBytes) else { return try charge(bytes: .max) }
    try charge(bytes: bytes)
  }

  /// Pays for a string made of `count` pieces of `bytes` bytes, before it is made.
  func charge(repeating bytes: Int, count: Int) throws {
    let (total, overflow) = bytes.multipliedReportingOverflow(by: max(count, 0))
    try charge(bytes: overflow ? .max : total)
  }

  /// Pays for a list, dictionary or namespace of `count` elements, before it is made.
  func charge(elements count: Int) throws {
    try charge(count > limits.steps / 2 ? .max : 16 + 2 * count)
  }
}
