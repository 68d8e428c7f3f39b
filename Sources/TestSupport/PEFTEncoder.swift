import Checkpoints
import Foundation

/// Adapters of PEFT with the encoder that its files leave out, among the goldens of soft prompts.
public enum PEFTEncoder {
  /// Writes the adapter of `Tests/Goldens/soft-prompts/NAME` as Attune keeps it: PEFT's files, and the encoder beside them.
  public static func write(_ name: String, to folder: URL) throws {
    let golden = Goldens.url("soft-prompts/\(name)")
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
      try FileManager.default.copyItem(at: golden.appending(path: file), to: folder.appending(path: file))
    }
    let url = golden.appending(path: "encoder.safetensors")
    guard FileManager.default.fileExists(atPath: url.path) else { return }
    let encoder = try SafetensorsFile(url)
    try Safetensors.write(
      try encoder.names.map { ("prompt_encoder.\($0)", try encoder.tensor($0)) },
      to: folder.appending(path: "attune-state.safetensors"))
  }
}
