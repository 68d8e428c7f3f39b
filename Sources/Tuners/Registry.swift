import Text

/// A method as its files name it: how to read its settings.
struct MethodReader: Sendable {
  /// Reads an `adapter_config.json`; the second argument is its path, for errors.
  let read: @Sendable (JSON, String) throws -> any TuningMethod

  /// Every method there is, by `peft_type`.
  static let registry: [String: MethodReader] = [
    "LORA": MethodReader { json, path in try LoRAConfiguration(adapterConfig: json, path: path) }
  ]
}
