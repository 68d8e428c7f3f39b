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
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let config = folder.appending(path: "config.json")
    if FileManager.default.fileExists(atPath: config.path) { try FileManager.default.removeItem(at: config) }
    var written = try Safetensors.write(try tensors.map { ($0.path, try $0.value.to(dtype)) }, inFolder: folder)
    var companions = ModelCompanions(source: source, files: files)
    written += try companions.write(to: folder)
    try AtomicFile.write(configJSON(isTied: isTied).text(.pretty) + "\n", to: config)
    return (written + ["config.json"], companions.notes)
  }

  /// The configuration of the result.
  private func configJSON(isTied: Bool) -> JSON {
    var members = files.config.object ?? [:]
    members.removeValue(forKey: "quantization_config")
    members["dtype"] = .string(dtype.rawValue)
    // transformers before 5 reads this name.
    if members["torch_dtype"] != nil { members["torch_dtype"] = .string(dtype.rawValue) }
    members["tie_word_embeddings"] = .bool(isTied)
    return .object(members)
  }
}
