import Checkpoints
import Foundation
import Torch

/// The golden files of this target.
enum Golden {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Goldens/checkpoints")

  static func url(_ name: String) -> URL { folder.appendingPathComponent(name) }

  static func bytes(_ name: String) throws -> [UInt8] { try Array(Data(contentsOf: url(name))) }
}

/// A folder that goes when the test ends.
final class TemporaryFolder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("attune-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func file(_ name: String) -> URL { url.appendingPathComponent(name) }

  func write(_ bytes: [UInt8], to name: String) throws -> URL {
    try Data(bytes).write(to: file(name))
    return file(name)
  }

  func write(_ text: String, to name: String) throws -> URL { try write(Array(text.utf8), to: name) }

  var entries: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() } }
}

/// A safetensors file of a hand-written header.
func safetensors(_ header: String, dataCount: Int, length: UInt64? = nil) -> [UInt8] {
  let text = Array(header.utf8)
  let size = withUnsafeBytes(of: (length ?? UInt64(text.count)).littleEndian) { Array($0) }
  return size + text + [UInt8](repeating: 0, count: dataCount)
}

func contents(_ url: URL) throws -> [UInt8] { try Array(Data(contentsOf: url)) }

/// A tensor's bytes in row-major order.
func bytes(_ tensor: Tensor) throws -> [UInt8] { try tensor.withUnsafeBytes { Array($0) } }

/// The failure of `body`, as text; nil where it succeeds.
func failure(_ body: () throws -> Void) -> String? {
  do { try body() } catch { return String(describing: error) }
  return nil
}
