import Checkpoints
import Testing
import Torch

/// The tensors of a golden safetensors file, each with memory of its own, and a check of whole groups of them.
public struct GoldenTensors {
  /// Something that the golden does not hold.
  public struct Missing: Error {
    let key: String

    /// What is missing.
    public init(key: String) { self.key = key }
  }

  private let file: SafetensorsFile

  /// The tensors of `Tests/Goldens/PATH`.
  public init(_ path: String) throws { file = try Goldens.tensors(path) }

  /// A copy of the tensor of that name.
  public subscript(key: String) -> Tensor {
    get throws { try file.tensor(key).clone() }
  }

  /// Checks `body` at the inputs NAME of `group` against its output, and the gradients of all of them.
  ///
  /// - Parameters:
  ///   - group: what the names begin with.
  ///   - names: the inputs.
  ///   - relative: allowed distance as a share of the expected value.
  ///   - absolute: allowed distance besides.
  ///   - sourceLocation: where an issue is shown.
  ///   - body: the computation.
  public func check(
    _ group: String, _ names: [String], relative: Double = 1e-5, absolute: Double = 1e-6,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: ([Tensor]) throws -> Tensor
  ) throws {
    let inputs = try names.map { try self["\(group).\($0)"] }
    let found = try differentiate(inputs, cotangent: try self["\(group).cotangent"], body)
    func check(_ actual: Tensor, _ key: String) throws {
      let expected = try self["\(group).\(key)"]
      try assertClose(
        actual, expected, relative: relative, absolute: absolute, "\(group).\(key)", sourceLocation: sourceLocation)
    }
    try check(found.value, "output")
    for (name, gradient) in zip(names, found.gradients) {
      guard let gradient else { throw Missing(key: "gradient of \(name)") }
      try check(gradient, "grad.\(name)")
    }
  }
}
