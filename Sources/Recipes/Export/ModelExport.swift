import Checkpoints
import Foundation
import Models
import NN
import OrderedCollections
import Text
import Torch
import Tuners

/// Writes a model as it stands in memory as a Hugging Face folder.
struct ModelExport {
  /// The folder or .gguf file it was read from.
  let source: URL
  /// The files there.
  let files: ModelFiles
  /// The element type to write.
  let dtype: DType
  /// The configuration where it is not that of the files.
  var config: JSON?
  /// The vocabulary where it has grown beyond that of the source.
  var vocabulary: GrownVocabulary?
  /// What the model was quantized from, where it was.
  var origin: QuantizedOrigin?
  /// The most bytes of tensors in one file; a larger tensor gets a file of its own.
  var shardByteLimit = Safetensors.defaultShardByteLimit

  /// Writes weights, tokenizer, templates and sampling defaults. `config.json` comes last, so that a folder which has one is whole.
  ///
  /// - Parameters:
  ///   - model: the model, without adapters.
  ///   - folder: where to; made where it is missing.
  ///   - release: told the path of each parameter once it is written, whose pages of a file may go then.
  /// - Returns: the files in order of writing, and what could not be written and why.
  func write(
    _ model: any CausalLM, to folder: URL, release: @escaping (String) -> Void = { _ in }
  ) throws -> (files: [String], notes: [String]) {
    // An adapter on the head, or of it, parts it from the token table.
    let isTied = model.isTied && (model.head as? Linear).map { $0.weight.sharesStorage(with: model.embedding.weight) } ?? false
    let tensors = model.parameters().filter { !(isTied && $0.path == "lm_head.weight") }
    let quantized = model.projections().compactMap { path, slot in (slot.value as? QuantizedLinear).map { (path, $0.packed) } }
    let packed = try quantized.flatMap { try BitsAndBytesTensors.make($0.1, at: $0.0) }
    let config = folder.appending(path: "config.json")
    try OutputFolder(url: folder).begin(sealedBy: config.lastPathComponent)
    let dense = tensors.map { path, _, value in
      PendingTensor(path, shape: value.shape, dtype: dtype, written: { release(path) }) { try value.to(dtype) }
    }
    let bits = packed.map { name, tensor in
      PendingTensor(name, shape: tensor.shape, dtype: tensor.dtype, written: { release(name) }) { tensor }
    }
    var written = try Safetensors.write(
      dense + mergedTensors(model) + bits, inFolder: folder, shardByteLimit: shardByteLimit)
    var companions = ModelCompanions(source: source, files: files, vocabulary: vocabulary)
    written += try companions.write(to: folder)
    try QuantizedOrigin.write(origin, to: folder)
    if origin != nil { written.append(AdapterRecord.fileName) }
    let settings = quantized.first.map { quantization($0.1, in: model) }
    try AtomicFile.write(configJSON(of: model, isTied: isTied, quantization: settings).text(.pretty) + "\n", to: config)
    return (written + ["config.json"], companions.notes)
  }

  /// The weights and biases of projections that are merged as they are written.
  private func mergedTensors(_ model: any CausalLM) -> [PendingTensor] {
    model.projections().flatMap { path, slot -> [PendingTensor] in
      guard let merged = slot.value as? MergedProjection else { return [] }
      let shape = [merged.outputSize, merged.inputSize]
      let weight = PendingTensor("\(path).weight", shape: merged.storesTransposed ? shape.reversed() : shape, dtype: dtype) {
        let weight = try merged.denseWeight().to(dtype)
        return try merged.storesTransposed ? weight.transposed().contiguous() : weight
      }
      let bias = merged.denseBias.map { bias in
        PendingTensor("\(path).bias", shape: bias.shape, dtype: dtype) { try bias.to(dtype) }
      }
      return [weight] + [bias].compactMap(\.self)
    }
  }

  /// The configuration of the result.
  private func configJSON(of model: any CausalLM, isTied: Bool, quantization: JSON?) -> JSON {
    var members = (config ?? files.config).object ?? [:]
    members["vocab_size"] = .int(model.shape.vocabularySize)
    members["quantization_config"] = quantization
    members["dtype"] = .string(dtype.rawValue)
    // transformers before 5 reads this name.
    if members["torch_dtype"] != nil { members["torch_dtype"] = .string(dtype.rawValue) }
    guard let score = model.scoreHeadShape, !model.predictsTokens else {
      members["tie_word_embeddings"] = .bool(isTied)
      return .object(members)
    }
    let name = members["architectures"]?.array?.first?.string ?? ""
    members["architectures"] = [.string(ModelConfiguration.scoringClass(score, insteadOf: name))]
    let labels = (0..<score.labels).map { (String($0), "LABEL_\($0)") }
    members["id2label"] = .object(OrderedDictionary(uniqueKeysWithValues: labels.map { ($0, .string($1)) }))
    members["label2id"] = .object(OrderedDictionary(uniqueKeysWithValues: labels.map { ($1, .int(Int($0) ?? 0)) }))
    members["num_labels"] = .int(score.labels)
    // Without one transformers takes no batches: it looks for the last token that is none of these.
    if members["pad_token_id"]?.int == nil { members["pad_token_id"] = paddingToken() ?? .null }
    return .object(members)
  }

  /// The id of the token that the tokenizer names for padding.
  private func paddingToken() -> JSON? {
    guard let text = try? TextSide(source), let name = text.tokenizer.special.pad else { return nil }
    return text.tokenizer.id(of: name).map { .int(Int($0)) }
  }

  /// What tells transformers which modules are packed and how.
  private func quantization(_ packed: PackedWeight, in model: any CausalLM) -> JSON {
    let dense = model.projections().filter { !($0.slot.value is QuantizedLinear) }.map(\.path)
    return BitsAndBytesTensors.configuration(
      packed.format, doubleQuant: packed.nested != nil, dtype: dtype, skipped: dense)
  }
}
