import Checkpoints
import Foundation
import NN
import Torch
import Training

/// Every parameter of a model as what a run tunes, kept in float32 whatever the model computes in.
struct WholeModel: TunedPart {
  private let model: any CausalLM

  /// Puts float32 copies in the place of the parameters of `model`, which goes on computing in its element type.
  init(_ model: any CausalLM) throws(TorchError) {
    self.model = model
    let dtype = model.dtype
    model.visit { _, slot in (slot as? ChildSlot<Embedding>)?.value.outputDType = dtype }
    for (path, slot, value) in model.parameters() where !(model.isTied && path == "lm_head.weight") {
      slot.value = try value.detached().to(.float32).clone()
    }
    if model.isTied { model.head = Linear(weight: model.embedding.weight, bias: nil) }
  }

  var parameters: [(path: String, value: Tensor)] {
    model.parameters().filter { !(model.isTied && $0.path == "lm_head.weight") }.map { ($0.path, $0.value) }
  }

  private static func file(in folder: URL) -> URL { folder.appending(path: "model.safetensors") }

  func save(to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Safetensors.write(parameters.map { ($0.path, $0.value) }, to: Self.file(in: folder))
  }

  func restore(from folder: URL) throws {
    let weights = try SafetensorsFile(Self.file(in: folder))
    for (path, value) in parameters { try value.copyInPlace(try weights.tensor(path, as: .float32)) }
  }
}
