import NN
import Torch

/// Own copies of whole parameters of the base, put in their place while an adapter is active: trained biases and
/// PEFT's `modules_to_save`.
final class ParameterOverlay {
  /// One parameter.
  struct Entry {
    /// The path under which it is saved.
    let path: String
    /// Where it stands in the model.
    let slot: ParameterSlot
    /// What stands there without the adapter.
    let original: Tensor
    /// What stands there with it.
    let own: Tensor
  }

  private(set) var entries: [Entry] = []
  private(set) var isActive = false

  /// Adds a float32 copy of the parameter in `slot`, to be saved under `path`.
  func add(_ path: String, _ slot: ParameterSlot) throws(TorchError) {
    guard !entries.contains(where: { $0.path == path }), let original = slot.value else { return }
    let own = try original.detached().to(.float32).clone()
    entries.append(Entry(path: path, slot: slot, original: original, own: own))
  }

  /// Puts the own copies or the originals in place.
  func activate(_ on: Bool) {
    guard on != isActive else { return }
    for entry in entries { entry.slot.value = on ? entry.own : entry.original }
    isActive = on
  }
}
