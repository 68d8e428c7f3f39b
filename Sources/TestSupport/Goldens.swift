import Checkpoints
import Foundation
import Text
import Torch

/// The committed results of reference implementations, under `Tests/Goldens`.
public enum Goldens {
  /// The folder they lie in.
  public static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Tests/Goldens")

  /// A file or folder among them.
  public static func url(_ path: String) -> URL { folder.appending(path: path) }

  /// A safetensors file among them.
  public static func tensors(_ path: String) throws -> SafetensorsFile { try SafetensorsFile(url(path)) }

  /// A JSON file among them.
  public static func json(_ path: String) throws -> JSON { try JSON(parsing: Data(contentsOf: url(path))) }

  /// A JSON file among them as `Value`, its `snake_case` keys as `camelCase`.
  public static func decoded<Value: Decodable>(_ path: String, as type: Value.Type = Value.self) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(type, from: Data(contentsOf: url(path)))
  }
}
