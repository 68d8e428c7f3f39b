import Checkpoints
import Foundation
import NN
import OrderedCollections
import Text
import Torch

/// Writes a model as it stands in memory as a Hugging Face folder.
struct ModelExport {
  /// The folder or .gguf file it was read from.
  let source: URL
  /// The files there.
  let files: ModelFiles
  /// The element type to write.
  let dtype: DType
  /// The vocabulary where it has grown beyond that of the source.
  var vocabulary: GrownVocabulary?
  /// The most bytes of tensors in one file; a larger tensor gets a file of its own.
  var shardByteLimit = Safetensors.defaultShardByteLimit

  /// Writes weights, tokenizer, templates and sampling defaults. `config.json` comes last, so that a folder which has one is whole.
  ///
  /// - Parameters:
  ///   - model: the model, without adapters.
  ///   - folder: where to; made where it is missing.
  /// - Returns: the files in order of writing, and what could not be written and why.
  func write(_ model: any CausalLM, to folder: URL) throws -> (files: [String], notes: [String]) {
    // An adapter on the head, or of it, parts it from the token table.
    let isTied = model.isTied && (model.head as? Linear).map { $0.weight.sharesStorage(with: model.embedding.weight) } ?? false
    let tensors = model.parameters().filter { !(isTied && $0.path == "lm_head.weight") }
    let config = folder.appending(path: "config.json")
    try OutputFolder(url: folder).begin(sealedBy: config.lastPathComponent)
    var written = try Safetensors.write(
      tensors.map { path, _, value in PendingTensor(path, shape: value.shape, dtype: dtype) { try value.to(dtype) } },
      inFolder: folder, shardByteLimit: shardByteLimit)
    var companions = ModelCompanions(source: source, files: files, vocabulary: vocabulary)
    written += try companions.write(to: folder)
    try AtomicFile.write(configJSON(of: model, isTied: isTied).text(.pretty) + "\n", to: config)
    return (written + ["config.json"], companions.notes)
  }

  /// The configuration of the result.
  private func configJSON(of model: any CausalLM, isTied: Bool) -> JSON {
    var members = files.config.object ?? [:]
    members["vocab_size"] = .int(model.shape.vocabularySize)
    members.removeValue(forKey: "quantization_config")
    members["dtype"] = .string(dtype.rawValue)
    // transformers before 5 reads this name.
    if members["torch_dtype"] != nil { members["torch_dtype"] = .string(dtype.rawValue) }
    members["tie_word_embeddings"] = .bool(isTied)
    return .object(members)
  }
}
