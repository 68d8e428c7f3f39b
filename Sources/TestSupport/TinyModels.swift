import Checkpoints
import Foundation
import Models
import NN
import Text
import Torch

/// The tiny random models among the goldens.
public enum TinyModels {
  /// The model of `Tests/Goldens/models/NAME`.
  public static func load(_ name: String, config: String = "config.json", dtype: DType = .float32) throws -> any CausalLM {
    let folder = Goldens.url("models/\(name)")
    let url = folder.appending(path: config)
    let configuration = ModelConfiguration(try JSON(parsing: Data(contentsOf: url)), path: url.path)
    let weights = try SafetensorsFile(folder.appending(path: "model.safetensors"))
    return try ModelLoader.load(configuration, weights: weights, dtype: dtype, device: .cpu)
  }
}
