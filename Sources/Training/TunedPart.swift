import Foundation
import Torch
import Tuners

/// What a run changes and leaves on disk.
public protocol TunedPart {
  /// What is tuned, with the names its files give it.
  var parameters: [(path: String, value: Tensor)] { get }
  /// Writes it in its standard layout.
  func save(to folder: URL) throws
  /// Reads it back from what ``save(to:)`` wrote.
  func restore(from folder: URL) throws
}

/// An adapter as the result of a run.
public struct TunedAdapter: TunedPart {
  private let adapter: Adapter
  private let base: String

  /// - Parameters:
  ///   - adapter: the adapter being tuned.
  ///   - base: `base_model_name_or_path` in its files.
  public init(_ adapter: Adapter, base: String) {
    self.adapter = adapter
    self.base = base
  }

  /// Everything the adapter owns.
  public var parameters: [(path: String, value: Tensor)] { adapter.parameters }

  /// Writes PEFT's two files.
  public func save(to folder: URL) throws { try AdapterFolder.save(adapter, base: base, to: folder) }

  /// Reads PEFT's tensors back.
  public func restore(from folder: URL) throws { try AdapterFolder.restore(adapter, from: folder) }
}
