import Checkpoints
import Foundation
import NN
import Torch

/// A run's checkpoints: folders `step-N` that each hold all a run needs to go on exactly where it was.
///
/// A folder appears whole, with a manifest of sizes and checksums, or not at all.
struct CheckpointFolder {
  private static let stateName = "state.json"
  private static let tensorsName = "optimizer.safetensors"
  /// The generators a run draws from: the CPU's, and the GPU's where it runs on one.
  private static func generators(_ part: any TunedPart) -> [(name: String, device: Device)] {
    let device = part.parameters.first?.value.device ?? .cpu
    return [("random_state", .cpu)] + (device == .cpu ? [] : [("random_state_cuda", device)])
  }
  let folder: URL

  private func url(_ step: Int) -> URL { folder.appending(path: "step-\(step)") }

  /// The steps that have a checkpoint, ascending. Whether they are whole shows when one is opened.
  func steps() -> [Int] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.compactMap { $0.hasPrefix("step-") ? Int($0.dropFirst("step-".count)) : nil }.sorted()
  }

  /// Writes a checkpoint and drops the oldest beyond `limit`.
  ///
  /// - Returns: the checkpoint's folder.
  func save(
    _ state: TrainingState, optimizer: Optimizer, part: any TunedPart, source: any BatchSource, limit: Int
  ) throws -> URL {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let target = url(state.step)
    try AtomicFolder.write(to: target) { draft in
      try part.save(to: draft)
      try source.save(to: draft)
      var tensors = optimizer.state.map { ($0.name, $0.value) }
      for (name, device) in Self.generators(part) { tensors.append((name, try RandomState.capture(device))) }
      try Safetensors.write(tensors, to: draft.appending(path: Self.tensorsName))
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      try AtomicFile.write(Array(try encoder.encode(state)), to: draft.appending(path: Self.stateName))
    }
    for step in steps().dropLast(max(1, limit)) where step != state.step { try? FileManager.default.removeItem(at: url(step)) }
    return target
  }

  /// The newest whole checkpoint; damaged ones are passed over and named.
  func latest() -> (checkpoint: URL?, damaged: [String]) {
    var damaged: [String] = []
    for step in steps().reversed() {
      do {
        try FolderManifest.verify(url(step))
        return (url(step), damaged)
      } catch {
        damaged.append("\(error)")
      }
    }
    return (nil, damaged)
  }

  /// Puts tuned part, optimizer and random state back and returns where the run stood.
  static func restore(_ checkpoint: URL, optimizer: Optimizer, part: any TunedPart) throws -> TrainingState {
    let data = try Data(contentsOf: checkpoint.appending(path: stateName))
    let state: TrainingState
    do {
      state = try JSONDecoder().decode(TrainingState.self, from: data)
    } catch {
      throw TrainingError("\(checkpoint.path): \(stateName) is not one of this version: \(error)")
    }
    let file = try SafetensorsFile(checkpoint.appending(path: tensorsName))
    try part.restore(from: checkpoint)
    var saved: [String: Tensor] = [:]
    for name in file.names { saved[name] = try file.tensor(name) }
    try optimizer.restore(step: state.step) { name throws(TorchError) in
      guard let tensor = saved[name] else {
        throw TorchError(operation: "restore", message: "\(checkpoint.path) lacks “\(name)”; it belongs to another recipe")
      }
      return tensor
    }
    for (name, device) in generators(part) {
      guard let random = saved[name] else { throw TrainingError("\(checkpoint.path) lacks “\(name)”") }
      try RandomState.restore(try random.clone(), on: device)
    }
    return state
  }
}
