import Checkpoints
import Foundation
import Models
import OrderedCollections
import Text

/// What a model's files say of it; the numbers of the weights are not read.
public struct ModelSummary: Sendable {
  /// Tensors of one stored type.
  public struct TensorGroup: Sendable, Hashable {
    /// The type as the file's format spells it: `BF16`, `Q4_K`.
    public var type: String
    /// Tensors.
    public var tensors: Int
    /// Numbers in them.
    public var elements: Int
    /// Bytes they take in the file.
    public var bytes: Int
  }

  /// The weights and the configuration.
  public struct Weights: Sendable {
    /// `model_type` of the configuration.
    public let modelType: String
    /// Whether models of that type can be loaded.
    public let isSupported: Bool
    /// The configuration, in the form of `config.json`.
    public let config: JSON
    /// Numbers in all parameters.
    public let parameterCount: Int
    /// The stored types, largest first.
    public let groups: [TensorGroup]
    /// Every tensor by its Hugging Face name, in the order of the file.
    public let tensors: [(name: String, info: TensorInfo)]
  }

  /// The folder or file.
  public let path: String
  /// The weights, or why there are none.
  public let weights: Result<Weights, CheckpointError>
  /// The tokenizer and the templates, or why there are none.
  public let text: Result<TextSide, any Error>
  /// Ids at which an answer ends.
  public let stopTokens: Set<Int32>

  /// Looks a model over.
  ///
  /// - Parameter url: a Hugging Face folder or a .gguf file; either may lack the tokenizer or the weights.
  /// - Throws: `CheckpointError` where it has neither.
  public init(_ url: URL) throws {
    let files = Result { () throws(CheckpointError) in try ModelFiles(url) }
    text = Result { try TextSide(url) }
    weights = files.map(Weights.init)
    if case .failure(let error) = weights, case .failure = text { throw error }
    path = url.path
    stopTokens = (try? LoadedModel.stopTokens(files.get(), tokenizer: text.get().tokenizer)) ?? []
  }
}

extension ModelSummary.Weights {
  fileprivate init(_ files: ModelFiles) {
    config = files.config
    let type = files.config["model_type"]?.string ?? "unknown"
    modelType = type
    isSupported = knownModelTypes.contains(type)
    tensors = files.weights.names.compactMap { name in files.weights.info(name).map { (name, $0) } }
    var groups: OrderedDictionary<String, ModelSummary.TensorGroup> = [:]
    for (_, info) in tensors {
      let type = info.storedType
      var group = groups[type] ?? ModelSummary.TensorGroup(type: type, tensors: 0, elements: 0, bytes: 0)
      group.tensors += 1
      group.elements += info.elementCount
      group.bytes += info.byteCount
      groups[type] = group
    }
    self.groups = groups.values.sorted { $0.bytes > $1.bytes }
    parameterCount = tensors.filter { !isBuffer($0.name, ofModelType: type) }.reduce(0) { $0 + $1.info.elementCount }
  }
}

extension TextSide {
  /// The special tokens by id.
  public var specialTokens: [(id: Int32, token: String)] {
    (0..<Int32(clamping: tokenizer.vocabularySize)).filter(tokenizer.isSpecial).map { ($0, tokenizer.token(of: $0) ?? "") }
  }

  /// The tokens that the tokenizer puts around a text.
  public var surroundingTokens: [String] {
    tokenizer.encode("", addSpecialTokens: true).map { tokenizer.token(of: $0) ?? "\($0)" }
  }
}

extension ModelSummary {
  /// The summary for a program to read; without the tensors, which ``tensorsJSON`` has.
  public var json: JSON {
    var members: OrderedDictionary<String, JSON> = ["path": .string(path)]
    switch weights {
    case .success(let weights):
      members["model_type"] = .string(weights.modelType)
      members["supported"] = .bool(weights.isSupported)
      members["parameters"] = .int(weights.parameterCount)
      members["types"] = .array(
        weights.groups.map {
          ["type": .string($0.type), "tensors": .int($0.tensors), "elements": .int($0.elements), "bytes": .int($0.bytes)]
        })
      members["config"] = weights.config
    case .failure(let error): members["weights_problem"] = .string(error.description)
    }
    switch text {
    case .success(let text): members["tokenizer"] = tokenizerJSON(text)
    case .failure(let error): members["tokenizer_problem"] = .string("\(error)")
    }
    return .object(members)
  }

  private func tokenizerJSON(_ text: TextSide) -> JSON {
    let special = text.tokenizer.special
    func named(_ token: String?) -> JSON { token.map(JSON.string) ?? .null }
    return [
      "tokens": .int(text.tokenizer.vocabularySize),
      "bos": named(special.bos), "eos": named(special.eos), "pad": named(special.pad), "unk": named(special.unk),
      "special": .array(text.specialTokens.map { ["id": .int(Int($0.id)), "token": .string($0.token)] }),
      "around_a_text": .array(text.surroundingTokens.map(JSON.string)),
      "stop_tokens": .array(stopTokens.sorted().map { .int(Int($0)) }),
      "chat_templates": .object(text.templates.sources.mapValues(JSON.string)),
    ]
  }

  /// Every tensor: name, shape, stored type and bytes. Empty where there are no weights.
  public var tensorsJSON: JSON {
    guard case .success(let weights) = weights else { return [] }
    return .array(
      weights.tensors.map { name, info in
        [
          "name": .string(name), "shape": .array(info.shape.map(JSON.int)), "type": .string(info.storedType),
          "bytes": .int(info.byteCount),
        ]
      })
  }
}
