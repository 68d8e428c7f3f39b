import NN
import Torch

/// Own copies of whole parameters of the base, put in their place while an adapter is active: trained biases, norms, PEFT's
/// `modules_to_save`, and every weight of a model that is tuned whole.
final class ParameterOverlay: AdapterPart {
  /// One parameter.
  struct Entry {
    /// The path under which it is saved.
    let path: String
    /// Where it stands in the model: in two places where head and token table are one.
    let slots: [ParameterSlot]
    /// What stands there without the adapter; nil where that is not kept.
    let original: Tensor?
    /// The element type of what stood there.
    let dtype: DType
    /// What stands there with it.
    let own: Tensor
  }

  private(set) var entries: [Entry] = []
  private var isActive = false
  /// True where the base's own numbers are given up, to save their memory.
  let isPermanent: Bool

  /// The element type of the copies.
  private let dtype: DType
  /// What stands before their paths in PEFT's files.
  private let prefix: String

  init(isPermanent: Bool = false, dtype: DType = .float32, savedUnder prefix: String = SavedTensor.modulePrefix) {
    (self.isPermanent, self.dtype, self.prefix) = (isPermanent, dtype, prefix)
  }

  /// Adds a copy of the parameter in `slots`, to be saved under `path`.
  func add(_ path: String, _ slots: ParameterSlot...) throws(TorchError) { try add(path, slots) }

  /// Adds a copy of the parameter in `slots`, to be saved under `path`.
  func add(_ path: String, _ slots: [ParameterSlot]) throws(TorchError) {
    guard !entries.contains(where: { $0.path == path }), let original = slots.first?.value else { return }
    let own = try original.detached().to(dtype).clone()
    entries.append(
      Entry(path: path, slots: slots, original: isPermanent ? nil : original, dtype: original.dtype, own: own))
  }

  /// Adds every parameter of the modules that `wanted` names by their paths or the ends of those: PEFT's `modules_to_save`.
  func add(modules wanted: [String], of model: any CausalLM) throws {
    let parameters = model.parameters().filter { !$0.path.contains(".adapters.") }
    for name in wanted {
      let matching = parameters.filter { path, _, _ in
        path.modulePath == name || path.modulePath.hasSuffix("." + name)
      }
      guard !matching.isEmpty else {
        throw TunerError(
          "modules_to_save: “\(name)” matches no module with parameters; lm_head and embed_tokens are the usual ones")
      }
      for (path, slot, _) in matching { try add(path, slot) }
    }
  }

  var trained: [(path: String, value: Tensor)] { entries.map { ($0.path, $0.own) } }
  var saved: [SavedTensor] { entries.map { SavedTensor(prefix + $0.path, $0.own) } }
  var replaced: [String] { entries.map(\.path) }

  func activate(_ on: Bool) {
    guard on != isActive else { return }
    for entry in entries {
      guard let value = on ? entry.own : entry.original else { continue }
      for slot in entry.slots { slot.value = value }
    }
    isActive = on
  }

  func remove() {}

  func merge() throws -> () -> Void {
    // The bias of a merged projection is in the new projection already.
    let merged = try entries.map { ($0.slots, try $0.own.detached().to($0.dtype)) }
    return { for (slots, value) in merged { slots.forEach { $0.value = value } } }
  }
}
