import CTorch

/// Why an operation on tensors failed.
public struct TorchError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What a caller can act on.
  public enum Kind: Sendable, Hashable {
    /// Shapes, types or values that do not fit the operation.
    case invalidArgument
    /// An index outside a dimension or vocabulary.
    case indexRange
    /// The device has no memory left; a smaller batch or shorter samples may fit.
    case outOfMemory
    /// libtorch has no such operation for this type or device.
    case notImplemented
    /// Anything else, a defect.
    case `internal`
  }

  /// What a caller can act on.
  public let kind: Kind
  /// The operation, by libtorch's name.
  public let operation: String
  /// Each operand's shape, element type and device.
  public let operands: [String]
  /// libtorch's own words, without its backtrace.
  public let message: String

  /// An error that a check of ours found, before libtorch was asked.
  public init(_ kind: Kind = .invalidArgument, operation: String, operands: [Tensor] = [], message: String) {
    self.kind = kind
    self.operation = operation
    self.operands = operands.map(\.summary)
    self.message = message
  }

  init(_ status: ct_status, operation: StaticString, operands: [Tensor]) {
    let text = String(cString: ct_last_error())
    let kind: Kind =
      switch status {
      case CT_INVALID_ARGUMENT: .invalidArgument
      case CT_INDEX_RANGE: .indexRange
      case CT_OUT_OF_MEMORY: .outOfMemory
      case CT_NOT_IMPLEMENTED: .notImplemented
      default: .internal
      }
    self.init(kind, operation: "\(operation)", operands: operands, message: text)
  }

  /// Operation, operands and message in one line.
  public var description: String {
    let subject = operands.isEmpty ? operation : "\(operation)(\(operands.joined(separator: ", ")))"
    return kind == .outOfMemory ? "out of memory in \(subject): \(message)" : "\(subject): \(message)"
  }
}
