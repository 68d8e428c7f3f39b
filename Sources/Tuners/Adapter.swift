import NN
import Torch

/// One adapter installed in a model: its deltas on projections, and its own copies of whole parameters.
public final class Adapter {
  /// Its name among the adapters of the model.
  public let name: String
  /// The method's settings.
  public let configuration: any TuningMethod
  /// Where each delta stands, by the path the projection has in its checkpoint.
  let deltas: [(path: String, projection: AdaptedProjection, delta: any AdapterDelta)]
  let overlay: ParameterOverlay

  init(
    name: String, configuration: any TuningMethod,
    deltas: [(path: String, projection: AdaptedProjection, delta: any AdapterDelta)], overlay: ParameterOverlay
  ) {
    self.name = name
    self.configuration = configuration
    self.deltas = deltas
    self.overlay = overlay
  }

  /// Everything it owns, under the names PEFT's files give it without their first part, in the model's order.
  public var parameters: [(path: String, value: Tensor)] {
    var found: [(path: String, value: Tensor)] = []
    for (path, _, delta) in deltas {
      for (name, slot) in delta.savedTensors {
        if let value = slot.value { found.append(("\(path).\(name)", value)) }
      }
    }
    return found + overlay.entries.map { ($0.path, $0.own) }
  }

  /// Asks for gradients of everything it owns, or stops asking.
  public func setTrainable(_ on: Bool) throws(TorchError) {
    for (_, value) in parameters { try value.setRequiresGradient(on) }
  }

  /// The numbers it owns.
  public var parameterCount: Int { parameters.reduce(0) { $0 + $1.value.count } }
}

/// A method that adapts a model: a configuration that knows how to install itself.
public protocol TuningMethod: Sendable {
  /// The method's name in PEFT's files: `LORA` …
  var peftType: String { get }
  /// Puts a new adapter into `model`, which must be frozen. The model's output stays as it was.
  ///
  /// - Throws: `TunerError` where settings are out of range or no module matches; the model is as before then.
  func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter
  /// The settings as PEFT's `adapter_config.json`.
  func adapterConfig(base: String, adapter: Adapter) -> [UInt8]
}
