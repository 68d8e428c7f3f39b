import NN
import Text
import Torch

extension LoRAConfiguration: TuningMethod {
  /// `LORA`.
  public var peftType: String { "LORA" }

  /// Puts a new adapter into `model`.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    try validate()
    let places = model.projections().filter { !$0.path.contains(".base_layer") }
    let paths = try resolver.resolve(places.map(\.path), strict: strict)
    let overlay = try overlay(model, adapted: paths)
    var deltas: [(path: String, slot: ProjectionSlot, delta: LoRADelta)] = []
    for (path, slot) in places where paths.contains(path) {
      let delta = try LoRADelta(
        for: slot.value, rank: try rank(path), scale: try scale(path), dropout: dropout, initialization: initialization,
        device: model.device)
      deltas.append((path, slot, delta))
    }
    // Nothing above has touched the model; nothing below can fail.
    return Adapter(
      name: name, configuration: self,
      deltas: deltas.map { path, slot, delta in
        let adapted = (slot.value as? AdaptedProjection) ?? AdaptedProjection(slot.value)
        adapted.install(delta, named: name)
        delta.train(model.isTraining)
        slot.value = adapted
        return (path, adapted, delta)
      }, overlay: overlay)
  }

  /// The biases and whole modules that are trained along.
  private func overlay(_ model: any CausalLM, adapted: [String]) throws -> ParameterOverlay {
    let overlay = ParameterOverlay()
    let parameters = model.parameters().filter { !$0.path.contains(".adapters.") }
    for (path, slot, _) in parameters where path.hasSuffix(".bias") {
      let module = path.dropLast(".bias".count).replacing(".base_layer", with: "")
      // PEFT saves the bias of an adapted projection under the wrapper it then stands in.
      if adapted.contains(String(module)), bias != .none {
        try overlay.add(module + ".base_layer.bias", slot)
      } else if bias == .all {
        try overlay.add(module + ".bias", slot)
      }
    }
    for wanted in modulesToSave {
      let matching = parameters.filter { path, _, _ in
        let module = path.split(separator: ".").dropLast().joined(separator: ".")
        return module == wanted || module.hasSuffix("." + wanted)
      }
      guard !matching.isEmpty else {
        throw TunerError(
          "modules_to_save: “\(wanted)” matches no module with parameters; lm_head and embed_tokens are the usual ones")
      }
      for (path, slot, _) in matching { try overlay.add(path, slot) }
    }
    return overlay
  }

  /// The settings as PEFT's `adapter_config.json`.
  public func adapterConfig(base: String, adapter: Adapter) -> [UInt8] {
    let transposed = adapter.deltas.contains { $0.projection.storesTransposed }
    let json = adapterConfig(base: base, adapted: adapter.deltas.map(\.path), transposed: transposed)
    return Array(json.text(.pretty).utf8) + [UInt8(ascii: "\n")]
  }
}
