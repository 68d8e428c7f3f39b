import Checkpoints
import Foundation
import Text
import Torch

/// The committed results of reference implementations, under `Tests/Goldens`.
public enum Goldens {
  /// The folder they lie in.
  public static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Tests/Goldens")

  /// A file or folder among them.
  public static func url(_ path: String) -> URL { folder.appending(path: path) }

  /// A safetensors file among them.
  public static func tensors(_ path: String) throws -> SafetensorsFile { try SafetensorsFile(url(path)) }

  /// A JSON file among them.
  public static func json(_ path: String) throws -> JSON { try JSON(parsing: Data(contentsOf: url(path))) }
}

/// Where two tensors differ most, in words; nil where each pair is within `absolute` + `relative`·|expected|.
public func mismatch(
  _ actual: Tensor, _ expected: Tensor, absolute: Double = 1e-6, relative: Double = 1e-5
) throws -> String? {
  guard actual.shape == expected.shape else { return "shape \(actual.shape) in place of \(expected.shape)" }
  let (own, theirs): ([Double], [Double]) = (try actual.array(), try expected.array())
  var worst = (excess: 0.0, index: 0)
  for (index, (a, e)) in zip(own, theirs).enumerated() {
    if a == e || (a.isNaN && e.isNaN) { continue }
    let distance = abs(a - e)
    let excess = distance.isNaN ? .infinity : distance - absolute - relative * abs(e)
    if excess > worst.excess { worst = (excess, index) }
  }
  guard worst.excess > 0 else { return nil }
  return "element \(worst.index) is \(own[worst.index]) in place of \(theirs[worst.index])"
}
