import Checkpoints
import Foundation
import NN
import Torch
import Tuners

/// Weights of the model itself as the result of a run, kept in float32 whatever the model computes in, or in bfloat16 alone.
public struct TunedWeights: TunedPart {
  /// The name of the tensors.
  public static let fileName = "model.safetensors"
  private let adapter: Adapter

  /// - Parameter adapter: what was installed by a method whose weights are the model's own.
  public init(_ adapter: Adapter) { self.adapter = adapter }

  /// True: no parameter of a model serves two layers.
  public var gradientsComeWhole: Bool { true }

  /// What is tuned.
  public var parameters: [(path: String, value: Tensor)] { adapter.parameters }

  /// Writes what is tuned, and nothing else.
  public func save(to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Safetensors.write(parameters.map { ($0.path, $0.value) }, to: folder.appending(path: Self.fileName))
  }

  /// Reads it back.
  public func restore(from folder: URL) throws {
    let weights = try SafetensorsFile(folder.appending(path: Self.fileName))
    try withoutGradients {
      for (path, value) in parameters { try value.copyInPlace(try weights.tensor(path, as: value.dtype)) }
    }
  }
}

extension Adapter {
  /// What a run that tunes this leaves on disk.
  ///
  /// - Parameters:
  ///   - base: `base_model_name_or_path` in an adapter's files.
  ///   - record: what is noted of an adapter beside them.
  ///   - anyBase: restore also an adapter that was saved with another base.
  ///   - writeBeside: writes what else belongs into an adapter's folder.
  public func tunedPart(
    base: String, record: AdapterRecord = AdapterRecord(), anyBase: Bool = false,
    writeBeside: @escaping (URL) throws -> Void = { _ in }
  ) -> any TunedPart {
    configuration.files == .model
      ? TunedWeights(self)
      : TunedAdapter(self, base: base, record: record, anyBase: anyBase, writeBeside: writeBeside)
  }
}
