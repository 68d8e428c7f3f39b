import Checkpoints
import Foundation
import Generation
import NN
import Text
import Torch

/// The tokens that merged models are compared on.
struct MergeText {
  /// What its predictions lose against those of another model.
  struct Distance: Sendable, Hashable {
    /// Σ p·ln(p / q) over the vocabulary, the mean over all places, in nats: Kullback and Leibler's divergence of the merged model from
    /// the live one.
    var divergence: Double
    /// The share of places at which both find the same token likeliest, from 0 to 1.
    var sameBest: Double
  }

  /// Rows of tokens, each read from its start.
  let rows: [[Int32]]
  /// Where they are from, in words.
  let source: String

  private static let rowLength = 256
  private static let tokenLimit = 1024
  /// The most bytes of scores that are kept of the live model.
  private static let byteLimit = 256 << 20

  /// The tokens of a text, as many of the first as are compared; those of a text of our own where none is given, and made-up ones for a
  /// model without a tokenizer.
  ///
  /// - Throws: ``RecipeError`` where a text is given that cannot be read or is too short.
  init(_ file: URL?, model url: URL, shape: ModelShape) throws {
    guard let tokenizer = try Self.tokenizer(url, isNeeded: file != nil) else {
      let row = (0..<min(32, shape.contextLength)).map { Int32(truncatingIfNeeded: ($0 * 7919 + 13) % shape.vocabularySize) }
      (rows, source) = ([row], "\(row.count) made-up tokens, since the model has no tokenizer")
      return
    }
    var text = Self.builtIn
    if let file {
      guard let given = try? String(contentsOf: file, encoding: .utf8) else {
        throw RecipeError("\(file.path): there is no such file of UTF-8 text to measure the merged model on")
      }
      text = given
    }
    let limit = min(Self.tokenLimit, max(32, Self.byteLimit / (4 * shape.vocabularySize)))
    let ids = tokenizer.encode(text, addSpecialTokens: true).prefix(limit)
    guard ids.count > 1 else {
      throw RecipeError("\(file?.path ?? ""): the text to measure the merged model on has no two tokens")
    }
    let length = min(Self.rowLength, shape.contextLength)
    rows = stride(from: 0, to: ids.count, by: length).map { Array(ids[$0..<min($0 + length, ids.count)]) }
    source = "\(ids.count) tokens of \(file?.path ?? "built-in text")"
  }

  private static func tokenizer(_ url: URL, isNeeded: Bool) throws -> BPETokenizer? {
    do { return try TextSide(url).tokenizer } catch let error as CheckpointError {
      guard error.kind == .missing, !isNeeded else { throw error }
      return nil
    }
  }

  /// What a model thinks of the tokens: logits [S, V] in float32 of each row.
  func scores(_ model: any CausalLM) throws -> [Tensor] {
    try rows.map { row in
      try model.inference {
        let logits = try model.logits(ModelInput(rows: [row], device: model.device)).to(.float32).to(.cpu)
        return try logits.reshaped([row.count, -1])
      }
    }
  }

  /// How far `model` is from the one that gave `scores`.
  ///
  /// - Throws: ``RecipeError`` where scores are no finite numbers.
  func distance(of model: any CausalLM, from scores: [Tensor]) throws -> Distance {
    var (sum, same, places) = (0.0, 0, 0)
    for (row, expected) in zip(try self.scores(model), scores) {
      sum += try Self.divergence(expected, row)
      let best = try [expected, row].map { try $0.argmax().array(Int64.self) }
      same += zip(best[0], best[1]).count { $0 == $1 }
      places += row.shape[0]
    }
    guard sum.isFinite else {
      throw RecipeError("the scores of the merged model are no finite numbers; the model or an adapter is damaged")
    }
    return Distance(divergence: sum / Double(places), sameBest: Double(same) / Double(places))
  }

  /// Σ p·ln(p / q) of two rows of scores [S, V], summed over all places.
  static func divergence(_ expected: Tensor, _ actual: Tensor) throws(TorchError) -> Double {
    let (p, q) = (try expected.to(.float64).logSoftmax(), try actual.to(.float64).logSoftmax())
    return try (p.exp() * (p - q)).sum().item()
  }

  /// Prose, a list, a dialogue and a program: what models are asked for.
  private static let builtIn = """
    The river had been rising since noon. By four o'clock the lower field was under water, and the two brothers were carrying the last \
    sacks of grain up the wooden stairs, one step at a time, without a word. Their father used to say that a flood is only a long rain \
    that has lost its way; now nobody laughed about it. When the light went out they sat down by the window and listened.

    How to make bread: mix 500 grams of flour with 350 grams of water, 10 grams of salt and a little yeast. Wait until the dough has \
    doubled, which takes about two hours in a warm kitchen. Shape it, let it rest for another hour, and bake it at 230 degrees for \
    thirty-five minutes. Let it cool before you cut it, however good it smells.

    Question: Why does the Moon always show the same side to the Earth?
    Answer: Because it turns once around itself in the time that it takes to go once around the Earth. Tides have slowed it down until \
    both took equally long, about 27.3 days.

    def mean(values):
        if not values:
            raise ValueError("no values")
        return sum(values) / len(values)

    In 1854 the physician John Snow marked on a map of London where people had died of cholera. Most of the marks lay around one pump in \
    Broad Street. He asked for its handle to be taken off, and so one of the first questions of epidemiology was answered with a pencil.
    """
}
