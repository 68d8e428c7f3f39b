import Checkpoints
import Datasets
import Foundation
import Objectives
import Text
import Torch

/// What a teacher said of the trained tokens of some samples, written once and learnt from many times.
///
/// A safetensors file. `token_ids` [R, k] int32 and `log_probs` [R, k] float16 hold the k likeliest tokens of each of R rows and ln p of
/// them, the likeliest first. `samples` [S] int64 stands for the tokens and masks of the samples, and `starts` [S] int64 says at which row
/// each begins: one row for each trained token that something predicts.
public final class TeacherFile: Teacher {
  /// What the file says of itself, as its metadata holds it.
  public struct Header: Sendable, Hashable {
    /// The teacher's files.
    public var teacher: String
    /// What tells its weights and adapters from others.
    public var fingerprint: String
    /// Stands for the tokens of its vocabulary.
    public var tokenizer: String
    /// Stands for the samples, in order.
    public var data: String
    /// What its logits were divided by.
    public var temperature: Double

    private static let version = "attune-teacher-1"

    var metadata: [String: String] {
      [
        "format": "pt", "version": Self.version, "teacher": teacher, "fingerprint": fingerprint, "tokenizer": tokenizer,
        "data": data, "temperature": JSON.python(temperature),
      ]
    }

    init(teacher: String, fingerprint: String, tokenizer: String, data: String, temperature: Double) {
      (self.teacher, self.fingerprint, self.tokenizer) = (teacher, fingerprint, tokenizer)
      (self.data, self.temperature) = (data, temperature)
    }

    init(_ metadata: [String: String], path: String) throws(RecipeError) {
      guard metadata["version"] == Self.version, let teacher = metadata["teacher"], let fingerprint = metadata["fingerprint"],
        let tokenizer = metadata["tokenizer"], let data = metadata["data"],
        let temperature = metadata["temperature"].flatMap(Double.init)
      else { throw RecipeError("\(path) is no file of attune distill capture, or of another version of it") }
      self.init(teacher: teacher, fingerprint: fingerprint, tokenizer: tokenizer, data: data, temperature: temperature)
    }
  }

  /// Where it is.
  public let path: String
  /// What it says of itself.
  public let header: Header
  private let ids: Tensor
  private let logProbs: Tensor
  /// The first row of each sample.
  private let rows: [UInt64: Int]

  /// Opens a file and checks that its parts fit each other.
  ///
  /// - Throws: ``RecipeError`` for another kind of file; `CheckpointError` for a damaged one.
  public init(_ url: URL) throws {
    let file = try SafetensorsFile(url)
    path = url.path
    header = try Header(file.metadata, path: url.path)
    ids = try file.tensor("token_ids")
    logProbs = try file.tensor("log_probs")
    let (samples, starts) = (try file.tensor("samples"), try file.tensor("starts"))
    guard ids.dtype == .int32, logProbs.dtype == .float16, ids.shape.count == 2, ids.shape == logProbs.shape,
      samples.dtype == .int64, starts.dtype == .int64, samples.shape.count == 1, samples.shape == starts.shape
    else { throw RecipeError("\(url.path) is damaged: its tensors do not fit one another; capture anew") }
    let numbers = zip(try samples.array(Int64.self), try starts.array(Int64.self))
    rows = Dictionary(numbers.map { (UInt64(bitPattern: $0), Int($1)) }) { first, _ in first }
  }

  /// The likeliest tokens that are known of a row.
  public var topK: Int { ids.shape[1] }

  /// Refuses a student of another vocabulary, and another temperature than the teacher's.
  ///
  /// - Throws: ``RecipeError``.
  func check(tokenizer: BPETokenizer, temperature: Double) throws(RecipeError) {
    guard header.tokenizer == tokenizer.vocabularyDigest else {
      throw RecipeError(
        "\(path) is of a teacher with another vocabulary than the student's, \(header.teacher); capture with a teacher of the same"
      )
    }
    guard header.temperature == temperature else {
      throw RecipeError(
        "\(path) was captured at temperature \(JSON.python(header.temperature)), and objective.temperature is "
          + "\(JSON.python(temperature)); give the same")
    }
  }

  /// Refuses a file of another teacher.
  ///
  /// - Throws: ``RecipeError``; what reading the teacher throws.
  func check(teacher files: ModelFiles) throws {
    let fingerprint = try BaseFingerprint(files.weights).description
    guard header.fingerprint == fingerprint else {
      throw RecipeError(
        "\(path) is of \(header.teacher), \(header.fingerprint), and objective.teacher is \(files.path), \(fingerprint); "
          + "capture anew, or leave teacher out")
    }
  }

  /// Refuses samples of which the teacher was not asked.
  ///
  /// - Throws: ``RecipeError`` with the first of them.
  func check(_ samples: [EncodedSample]) throws(RecipeError) {
    let unknown = samples.filter { sample in rows[sample.fingerprint].map { !holds(sample.targetCount, from: $0) } ?? true }
    guard let first = unknown.first else { return }
    throw RecipeError(
      "\(first.location): \(path) says nothing of this sample, nor of \(unknown.count - 1) others: data, tokenizer, template, mask or "
        + "max_length are not those of the capture; capture anew with this recipe")
  }

  private func holds(_ count: Int, from start: Int) -> Bool { start >= 0 && start <= ids.shape[0] - count }

  /// What the file has of the trained tokens of a batch.
  public func rows(_ batch: Batch, _ targets: TokenTargets, on device: Device) throws -> TaughtRows {
    var places: [Int64] = []
    var (rest, end) = (targets.places[...], 0)
    for (length, fingerprint) in zip(batch.segmentLengths, batch.fingerprints) {
      end += length
      let own = rest.prefix { $0 < end }
      rest = rest.dropFirst(own.count)
      guard let start = rows[fingerprint], holds(own.count, from: start) else {
        throw RecipeError("\(path) says nothing of a sample of \(length) tokens")
      }
      places += Int64(start)..<Int64(start + own.count)
    }
    let index = try Tensor(places)
    return .tokens(ids: try ids.indexed(0, index).to(device), logProbs: try logProbs.indexed(0, index).to(device))
  }
}

extension BPETokenizer {
  /// SHA-256 of the spellings of all tokens, in order.
  var vocabularyDigest: String {
    var builder = CacheKey.Builder("vocabulary")
    builder.add("tokens", (0..<Int32(vocabularySize)).map { token(of: $0) ?? "" })
    return builder.key.name
  }
}
