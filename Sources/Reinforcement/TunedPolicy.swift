import Checkpoints
import Foundation
import Objectives
import Torch
import Training
import Tuners

/// What is tuned together with the head that says what may be expected: the head stands in a file beside the rest.
public struct TunedPolicy: TunedPart {
  /// The name of the head's tensors.
  public static let fileName = "value_head.safetensors"
  private let part: any TunedPart
  private let head: ValueHead

  /// What is tuned, and the head.
  public init(_ part: any TunedPart, head: ValueHead) { (self.part, self.head) = (part, head) }

  /// Those of both.
  public var parameters: [(path: String, value: Tensor)] { part.parameters + head.parameters }
  /// The method's.
  public var companion: (any TrainingCompanion)? { part.companion }
  /// As the method says; the head's is the run's.
  public func rateScale(of path: String, learningRate: Double) -> Double {
    head.parameters.contains { $0.path == path } ? 1 : part.rateScale(of: path, learningRate: learningRate)
  }

  /// Writes both.
  public func save(to folder: URL) throws {
    try part.save(to: folder)
    try Safetensors.write(head.parameters.map { ($0.path, $0.value) }, to: folder.appending(path: Self.fileName))
  }

  /// Reads both back.
  public func restore(from folder: URL) throws {
    try part.restore(from: folder)
    let file = try SafetensorsFile(folder.appending(path: Self.fileName))
    try withoutGradients {
      for (path, value) in head.parameters { try value.copyInPlace(try file.tensor(path, as: value.dtype)) }
    }
  }
}
