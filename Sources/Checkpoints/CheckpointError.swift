/// What is wrong with a file or folder that holds weights, where in it, and what to do.
public struct CheckpointError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The sort of failure, for code that reacts to it.
  public enum Kind: Sendable, Hashable {
    /// Nothing is at the path.
    case missing
    /// A system call failed with this `errno`: permissions, disk full, input/output.
    case system(Int32)
    /// The contents break the rules of their format.
    case malformed
    /// The contents keep the rules, but this program cannot use them.
    case unsupported
    /// A folder that was not written to its end, or lost a part.
    case incomplete
    /// The file holds no tensor or key of that name.
    case absent
  }

  /// The sort of failure.
  public let kind: Kind
  /// The file or folder.
  public let path: String
  /// The part of it: `tensor “model.norm.weight”`, `key “general.alignment”`; nil where it is the whole.
  public let subject: String?
  /// What is wrong.
  public let problem: String
  /// What to do, where that is known.
  public let remedy: String?

  /// A failure.
  public init(_ kind: Kind, at path: String, in subject: String? = nil, _ problem: String, remedy: String? = nil) {
    self.kind = kind
    self.path = path
    self.subject = subject
    self.problem = problem
    self.remedy = remedy
  }

  /// Path, part, problem and remedy in one line.
  public var description: String {
    let place = subject.map { "\(path): \(CheckpointError.printable($0))" } ?? path
    return "\(place): \(CheckpointError.printable(problem))" + (remedy.map { ". \($0)" } ?? "")
  }

  /// Text from a file as a terminal can show it: control characters as escapes, and not without end.
  private static func printable(_ text: String) -> String {
    let limit = 600
    var shown = ""
    for (index, scalar) in text.unicodeScalars.enumerated() {
      if index == limit { return shown + "…" }
      let isControl = scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
      if isControl { shown += scalar.escaped(asASCII: true) } else { shown.unicodeScalars.append(scalar) }
    }
    return shown
  }

  /// A system call that failed, with the system's own words.
  static func system(_ code: Int32, at path: String, doing action: String) -> CheckpointError {
    let kind: Kind = code == ENOENT ? .missing : .system(code)
    return CheckpointError(kind, at: path, "\(action): \(String(cString: strerror(code)))")
  }
}

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif
