import Foundation

/// The committed files of `Tests/Goldens`, which hold what reference implementations computed; `SCHEMA.md` there says what.
public enum Golden {
  /// The repository's root, found from where this source file lies.
  public static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// A file by its path below `Tests/Goldens`, such as `layers/norms.safetensors`.
  public static func url(_ path: String) -> URL {
    repository.appendingPathComponent("Tests/Goldens", isDirectory: true).appendingPathComponent(path)
  }

  /// The bytes of a file.
  ///
  /// - Throws: Foundation's error where the file is missing: a golden that is not there fails its test.
  public static func data(_ path: String) throws -> Data { try Data(contentsOf: url(path)) }

  /// A JSON file as `Value`, its `snake_case` keys as `camelCase`.
  public static func json<Value: Decodable>(_ path: String, as type: Value.Type = Value.self) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(type, from: data(path))
  }
}
