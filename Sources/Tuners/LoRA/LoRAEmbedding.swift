import NN
import Torch

/// Low-rank adaptation of a table of vectors: row t is E_t + s·B·A_t. Hu et al., arXiv:2106.09685.
///
/// A [r, V] starts at 0, B [d, r] at N(0, 1).
final class LoRAEmbeddingDelta: Module, EmbeddingDelta {
  @Param("lora_embedding_A") var a: Tensor
  @Param("lora_embedding_B") var b: Tensor
  private let scale: Double

  init(for table: Embedding, rank: Int, scale: Double, device: Device) throws(TorchError) {
    self.scale = scale
    super.init()
    let shape = table.weight.shape
    a = try .zeros([rank, shape[0]], device: device)
    b = try .empty([shape[1], rank], device: device)
    try b.normalInPlace()
  }

  func forward(_ indices: Tensor, rows: Tensor) throws(TorchError) -> Tensor {
    let low = try a.transposed().embedding(indices)
    return try rows + (low.matmul(try b.transposed()) * scale).to(rows.dtype)
  }

  func merged(into table: Tensor) throws(TorchError) -> Tensor {
    try table + (b.matmul(a) * scale).transposed().to(table.dtype)
  }
}

/// A delta of an adapter on a table of vectors.
final class EmbeddingPart: AdapterPart {
  private let path: String
  private let table: Embedding
  private let delta: LoRAEmbeddingDelta
  private let name: String

  /// Puts `delta` on the table at `path`, not yet active.
  init(_ delta: LoRAEmbeddingDelta, named name: String, at path: String, in table: Embedding) {
    (self.path, self.table, self.delta, self.name) = (path, table, delta, name)
    table.deltas = table.deltas.filter { $0.name != name } + [(name, delta)]
  }

  var trained: [(path: String, value: Tensor)] {
    [("\(path).lora_embedding_A", delta.a), ("\(path).lora_embedding_B", delta.b)]
  }

  func activate(_ on: Bool) { table.active = table.active.filter { $0 != name } + (on ? [name] : []) }
  func remove() { table.deltas = table.deltas.filter { $0.name != name } }
  func merge() throws -> () -> Void { {} }
}

/// The base's own weight of an adapted token table or head, which PEFT saves along. It is not written, and where a file has it, it must
/// be the base's.
final class BaseWeight: AdapterPart {
  private let path: String
  private let weight: Tensor

  init(_ path: String, _ weight: Tensor) { (self.path, self.weight) = (path, weight) }

  var trained: [(path: String, value: Tensor)] { [] }
  var saved: [SavedTensor] {
    let (path, weight) = (path, weight)
    return [
      SavedTensor(
        SavedTensor.modulePrefix + path + ".base_layer.weight", shape: weight.shape, isWritten: false,
        value: { () throws(TorchError) in weight },
        restore: { source throws(TorchError) in
          let difference = try (source.to(weight.dtype).to(.float32) - weight.to(.float32)).abs().max().item()
          guard difference <= 1e-6 else {
            throw TorchError(
              operation: "restore",
              message: "the adapter brings a weight of its own for “\(path)”, which differs from the base's by \(difference): "
                + "it belongs to another base")
          }
        })
    ]
  }
  func activate(_ on: Bool) {}
  func remove() {}
  func merge() throws -> () -> Void { {} }
}
