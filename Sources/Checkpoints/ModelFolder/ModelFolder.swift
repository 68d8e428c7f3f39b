import Foundation
import Text

/// A Hugging Face folder.
struct ModelFolder {
  let url: URL

  private var path: String { url.path }

  /// The names in the folder, hidden ones left out.
  var entries: [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.filter { !$0.hasPrefix(".") }.sorted()
  }

  /// The names for a message.
  var listing: String {
    let shown = entries.prefix(20)
    if shown.isEmpty { return "the folder is empty" }
    let more = entries.count > shown.count ? " and \(entries.count - shown.count) more" : ""
    return "the folder holds \(shown.joined(separator: ", "))\(more)"
  }

  /// A file of the folder; nil where it is not there.
  func file(_ name: String) -> URL? {
    let file = url.appendingPathComponent(name)
    return SystemCall.exists(file.path) ? file : nil
  }

  /// A JSON object of the folder; nil where the file is not there.
  func object(_ name: String) throws(CheckpointError) -> JSON? {
    guard let file = file(name) else { return nil }
    return try JSONFile.object(at: file)
  }

  /// The configuration.
  func config() throws(CheckpointError) -> JSON {
    if let config = try object("config.json") { return config }
    if file("adapter_config.json") != nil {
      throw CheckpointError(
        .missing, at: path, "holds an adapter and no model",
        remedy: "Give it as --adapter, with the model it was made for as --model")
    }
    let files = entries.filter { $0.hasSuffix(".gguf") }
    throw CheckpointError(
      .missing, at: path, "has no config.json; \(listing)",
      remedy: files.isEmpty ? nil : "For a GGUF model give the file itself, for example \(path)/\(files[0])")
  }

  /// The weights: `model.safetensors`, or the files that `model.safetensors.index.json` names.
  func weights() throws(CheckpointError) -> any CheckpointSource {
    if let file = file("model.safetensors") { return try SafetensorsFile(file) }
    if let index = file(Safetensors.indexName) { return try ShardedSafetensors(index: index) }
    if let pickle = entries.first(where: ModelFolder.isPickle) {
      throw CheckpointError(
        .unsupported, at: path, in: "file “\(pickle)”",
        "is a pickle, a format that runs code of the file's author when it is read, so it is never opened",
        remedy: "Convert to safetensors: load it in transformers where you trust it, then `model.save_pretrained(folder)`")
    }
    throw CheckpointError(.missing, at: path, "has no model.safetensors and no \(Safetensors.indexName); \(listing)")
  }

  private static func isPickle(_ name: String) -> Bool {
    name.hasPrefix("pytorch_model") || [".bin", ".pt", ".pth", ".ckpt", ".pkl"].contains { name.hasSuffix($0) }
  }
}
