import Checkpoints
import Datasets
import Foundation
import NN
import Objectives
import Text
import Torch
import Training

/// Asks a teacher for the likeliest tokens after each place that predicts a trained one, and writes them to a ``TeacherFile``.
public struct TeacherCapture {
  /// What was written.
  public struct Report: Sendable {
    /// Samples, and rows: trained tokens that something predicts.
    public let samples: Int, rows: Int
    /// Bytes of the file.
    public let bytes: Int
    /// The mean share of the probability that the tokens kept have, 0 … 1.
    public let covered: Double
    /// What encoding did to the data.
    public let dataNotes: [String]
  }

  /// The teacher, by name or path.
  public var teacher: String
  /// Adapters at work in it.
  public var adapters: [String] = []
  /// What it is loaded as.
  public var options = ModelOptions()
  /// Tokens kept of a row.
  public var topK = 64
  /// What its logits are divided by.
  public var temperature = 1.0
  /// The student, whose tokenizer and template turn the data into tokens; nil for the teacher's own.
  public var student: String?
  /// Where models are looked up.
  public var store = ModelStore.standard

  /// A capture of a teacher with the defaults.
  public init(teacher: String) { self.teacher = teacher }

  /// Asks and writes. All that is written is held in memory until then: 6·k bytes a trained token.
  ///
  /// - Parameters:
  ///   - data: training and evaluation data as the run will have them.
  ///   - seed: of the run, which an evaluation split is drawn from.
  ///   - url: the file; it appears whole or not at all.
  ///   - progress: told how far it is; what it throws ends the work.
  /// - Throws: ``RecipeError`` where teacher and student have other tokens, or a sample is longer than the teacher's context.
  public func write(
    _ data: DataRecipe, seed: UInt64 = 42, to url: URL, progress: (String) throws -> Void = { _ in }
  ) throws -> Report {
    let location = try store.resolve(student ?? teacher)
    let files = try TokenizerFiles(location)
    let text = try TextSide(files)
    let encoder = RunEncoder(
      recipe: data, seed: seed, text: text, files: files,
      stopTokens: try LoadedModel.stopTokens(ModelFiles(location), tokenizer: text.tokenizer), cache: store.tokenCache)
    let encoded = try encoder.run()
    let samples = encoded.training.samples + (encoded.evaluation?.samples ?? [])
    if let pair = samples.first(where: { $0.rank > 0 }) {
      throw RecipeError("\(pair.location): is one of several answers; a teacher is asked about single ones")
    }
    let model = try LoadedModel(teacher, options: options, store: store)
    try model.load(adapters: adapters)
    try model.text.refuseOtherTokens(than: text, of: location.path)
    guard topK < text.tokenizer.vocabularySize else {
      throw RecipeError("the vocabulary has \(text.tokenizer.vocabularySize) tokens, which is not more than \(topK); keep fewer")
    }
    if let longest = samples.first(where: { $0.ids.count > model.model.tokenLimit }) {
      throw RecipeError(
        "\(longest.location): has \(longest.ids.count) tokens, and the teacher has room for \(model.model.tokenLimit); lower the length"
      )
    }
    let header = TeacherFile.Header(
      teacher: model.path, fingerprint: try fingerprint(model), tokenizer: text.tokenizer.vocabularyDigest,
      data: Self.digest(of: samples), temperature: temperature)
    let answers = try ask(model.model, samples, vocabulary: text.tokenizer.vocabularySize, progress: progress)
    try Safetensors.write(
      [
        ("token_ids", answers.ids), ("log_probs", answers.logProbs),
        ("samples", try Tensor(samples.map { Int64(bitPattern: $0.fingerprint) })), ("starts", try Tensor(answers.starts)),
      ], metadata: header.metadata, to: url)
    let bytes = try FileManager.default.attributesOfItem(atPath: url.path)[.size] as? Int ?? 0
    return Report(
      samples: samples.count, rows: answers.ids.shape[0], bytes: bytes, covered: answers.covered, dataNotes: encoded.notes)
  }

  /// The weights', with the adapters' names behind it.
  private func fingerprint(_ model: LoadedModel) throws -> String {
    let base = try BaseFingerprint(model.weights.files.weights).description
    return ([base] + adapters).joined(separator: "+")
  }

  private static func digest(of samples: [EncodedSample]) -> String {
    var builder = CacheKey.Builder("samples")
    builder.add("fingerprints", samples.map { String($0.fingerprint, radix: 16) })
    return builder.key.name
  }

  private struct Answers {
    let ids: Tensor, logProbs: Tensor
    let starts: [Int64]
    let covered: Double
  }

  private func ask(
    _ model: any CausalLM, _ samples: [EncodedSample], vocabulary: Int, progress: (String) throws -> Void
  ) throws -> Answers {
    var (starts, count) = ([Int64](), 0)
    for sample in samples {
      starts.append(Int64(count))
      count += sample.targetCount
    }
    let (ids, logProbs) = (
      try Tensor.empty([count, topK], dtype: .int32), try Tensor.empty([count, topK], dtype: .float16)
    )
    var (done, covered) = (0, 0.0)
    try withoutGradients { () throws in
      for batch in samples.batches(of: 4096) {
        let targets = TokenTargets(batch)
        try progress("\(done) of \(counted(count, "token")) asked")
        let hidden = try model.hidden(batch).squeezed(0).indexed(0, try Tensor(targets.places).to(model.device))
        let step = max(1, (1 << 23) / model.shape.vocabularySize)
        for start in stride(from: 0, to: targets.places.count, by: step) {
          let rows = start..<min(start + step, targets.places.count)
          let logits = try model.head.forward(try hidden.narrowed(0, rows)).narrowed(1, 0..<vocabulary).to(.float32)
          let best = try (logits / temperature).logSoftmax().top(topK)
          let place = done..<done + rows.count
          try ids.narrowed(0, place).copyInPlace(try best.indices.to(.int32).to(.cpu))
          try logProbs.narrowed(0, place).copyInPlace(try best.values.to(.float16).to(.cpu))
          covered += try best.values.exp().sum().item()
          done += rows.count
        }
      }
    }
    return Answers(ids: ids, logProbs: logProbs, starts: starts, covered: count == 0 ? 0 : covered / Double(count))
  }
}
