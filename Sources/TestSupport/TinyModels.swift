import Checkpoints
import Foundation
import Models
import NN
import OrderedCollections
import Text
import Torch

/// The tiny random models among the goldens.
public enum TinyModels {
  /// The model of `Tests/Goldens/models/NAME`.
  public static func load(
    _ name: String, config: String = "config.json", dtype: DType = .float32, packing: ProjectionPacking? = nil
  ) throws -> any CausalLM {
    let folder = Goldens.url("models/\(name)")
    let url = folder.appending(path: config)
    let configuration = ModelConfiguration(try JSON(parsing: Data(contentsOf: url)), path: url.path)
    let weights = try SafetensorsFile(folder.appending(path: "model.safetensors"))
    return try ModelLoader.load(configuration, weights: weights, dtype: dtype, device: .cpu, packing: packing)
  }

  /// A Hugging Face folder with the model of `Tests/Goldens/models/NAME` and the tokenizer and template of `Tests/Goldens/cli`.
  ///
  /// - Parameters:
  ///   - name: the model's name among the goldens.
  ///   - parent: where the folder is made.
  ///   - contextLength: its `max_position_embeddings`; nil leaves it.
  ///   - withTokenizer: false leaves the tokenizer out.
  public static func folder(
    _ name: String, in parent: TemporaryFolder, contextLength: Int? = nil, withTokenizer: Bool = true
  ) throws -> URL {
    let folder = parent.url.appending(path: name)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let tokenizer = withTokenizer ? ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"].map { "cli/\($0)" } : []
    for file in ["model.safetensors", "generation_config.json"].map({ "models/\(name)/\($0)" }) + tokenizer {
      let source = Goldens.url(file)
      try FileManager.default.copyItem(at: source, to: folder.appending(path: source.lastPathComponent))
    }
    var config = try Goldens.json("models/\(name)/config.json").object ?? [:]
    if let contextLength { config["max_position_embeddings"] = .int(contextLength) }
    try Data(JSON.object(config).text(.pretty).utf8).write(to: folder.appending(path: "config.json"))
    return folder
  }
}
