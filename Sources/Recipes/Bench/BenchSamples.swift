import Datasets
import Foundation
import Text

/// The token ids that are measured on.
public enum BenchSamples {
  /// Samples of random ids, all of one length, each token learnt.
  ///
  /// - Parameters:
  ///   - count: samples.
  ///   - length: tokens of each.
  ///   - vocabulary: ids run from 0 to one less than this.
  ///   - seed: where the random numbers start.
  public static func random(_ count: Int, length: Int, vocabulary: Int, seed: UInt64 = 42) -> [EncodedSample] {
    var generator = SplitMix64(seed: seed)
    return (0..<count).map { index in
      let ids = (0..<length).map { _ in Int32(generator.next() % UInt64(max(1, vocabulary))) }
      return EncodedSample(
        ids: ids, trained: Array(repeating: true, count: length), location: SourceLocation(file: "random", line: index + 1),
        index: index)
    }
  }

  /// Samples of a file with one object a line: `tokens`, a list of ids, and where not all are learnt `trained`, a list of truth
  /// values for them.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - vocabulary: ids run from 0 to one less than this.
  /// - Throws: ``RecipeError`` with file and line.
  public static func read(_ path: String, vocabulary: Int) throws -> [EncodedSample] {
    guard let data = FileManager.default.contents(atPath: path) else { throw RecipeError("there is no file \(path)") }
    guard let text = String(validating: data, as: UTF8.self) else { throw RecipeError("\(path) is not UTF-8 text") }
    var samples: [EncodedSample] = []
    for (index, line) in text.split(separator: "\n").enumerated() {
      let place = SourceLocation(file: path, line: index + 1)
      samples.append(try sample(String(line), at: place, index: index, vocabulary: vocabulary))
    }
    guard !samples.isEmpty else { throw RecipeError("\(path) holds no samples") }
    return samples
  }

  private static func sample(
    _ line: String, at place: SourceLocation, index: Int, vocabulary: Int
  ) throws -> EncodedSample {
    let row: JSON
    do { row = try JSON(parsing: line) } catch { throw RecipeError("\(place): \(error)") }
    let ids = row["tokens"]?.array?.compactMap(\.int) ?? []
    guard ids.count > 1, ids.count == row["tokens"]?.array?.count else {
      throw RecipeError("\(place): “tokens” must be a list of two token ids or more")
    }
    if let wrong = ids.first(where: { !(0..<vocabulary).contains($0) }) {
      throw RecipeError("\(place): “tokens” has \(wrong), and the model's ids run from 0 to \(vocabulary - 1)")
    }
    let trained = row["trained"]?.array?.compactMap(\.bool) ?? Array(repeating: true, count: ids.count)
    guard trained.count == ids.count else {
      throw RecipeError("\(place): “trained” must be a list of \(ids.count) truth values, one for each token")
    }
    return EncodedSample(ids: ids.map(Int32.init), trained: trained, location: place, index: index)
  }
}
