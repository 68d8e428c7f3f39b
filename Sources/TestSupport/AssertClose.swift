import Testing
import Torch

/// Records an issue unless |actual − expected| ≤ absolute + relative·|expected| at every place.
///
/// NaN is close to NaN alone, an infinity to itself. Element types may differ; shapes may not. The issue names the worst place,
/// both values there, and how many of the elements are too far off.
///
/// - Parameters:
///   - actual: what was computed.
///   - expected: what it should be.
///   - relative: allowed distance as a share of the expected value.
///   - absolute: allowed distance besides.
///   - label: what is compared, for the issue's text.
///   - sourceLocation: where the issue is shown.
/// - Throws: `TorchError` where the numbers cannot be read.
public func assertClose(
  _ actual: Tensor, _ expected: Tensor, relative: Double = 1e-5, absolute: Double = 1e-6, _ label: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  guard let text = try mismatch(actual, expected, absolute: absolute, relative: relative) else { return }
  Issue.record(Comment(rawValue: label.isEmpty ? text : "\(label): \(text)"), sourceLocation: sourceLocation)
}

/// The same for a tensor and its numbers in row-major order.
public func assertClose(
  _ actual: Tensor, _ expected: [Double], relative: Double = 1e-5, absolute: Double = 1e-6, _ label: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let shaped = try Tensor(expected, shape: actual.count == expected.count ? actual.shape : [expected.count])
  try assertClose(actual, shaped, relative: relative, absolute: absolute, label, sourceLocation: sourceLocation)
}

/// Where two tensors differ most, in words; nil where each pair is within `absolute` + `relative`·|expected|.
public func mismatch(
  _ actual: Tensor, _ expected: Tensor, absolute: Double = 1e-6, relative: Double = 1e-5
) throws -> String? {
  let shape = expected.shape
  guard actual.shape == shape else { return "shape \(actual.shape) instead of \(shape)" }
  let found = try actual.array(Double.self)
  let wanted = try expected.array(Double.self)
  var worst: (place: Int, excess: Double)?
  var failures = 0
  for place in wanted.indices {
    let excess = excess(found[place], wanted[place], relative: relative, absolute: absolute)
    guard excess > 0 else { continue }
    failures += 1
    if excess > worst?.excess ?? 0 { worst = (place, excess) }
  }
  guard let worst else { return nil }
  let (value, target) = (found[worst.place], wanted[worst.place])
  return """
    \(failures) of \(wanted.count) elements differ by more than \(absolute) + \(relative)·|expected|; the worst at \
    \(coordinates(of: worst.place, in: shape)): \(value) instead of \(target), off by \(abs(value - target))
    """
}

/// By how much the distance exceeds what is allowed; 0 where it does not.
private func excess(_ actual: Double, _ expected: Double, relative: Double, absolute: Double) -> Double {
  if actual == expected || (actual.isNaN && expected.isNaN) { return 0 }
  guard actual.isFinite, expected.isFinite else { return .infinity }
  return max(0, abs(actual - expected) - absolute - relative * abs(expected))
}

private func coordinates(of place: Int, in shape: [Int]) -> [Int] {
  var rest = place
  var reversed: [Int] = []
  for size in shape.reversed() {
    reversed.append(rest % size)
    rest /= size
  }
  return reversed.reversed()
}
