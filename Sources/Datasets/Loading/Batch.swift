/// One row of tokens for one forward pass: samples one after the other, without padding.
///
/// With T tokens and S samples, `tokens`, `labels` and `positions` are [T], `segmentLengths`, `samples` and `sources` are [S]. Segments must not
/// attend to each other. Labels stand at their own token: the loss compares the prediction at t with `labels[t + 1]` inside a segment.
public struct Batch: Sendable, Hashable {
  /// The label of a token that is not learnt.
  public static let ignoredLabel: Int32 = -100

  /// The ids, [T].
  public var tokens: [Int32]
  /// The id where a token is learnt, otherwise −100, [T].
  public var labels: [Int32]
  /// The place of each token in its segment, from 0, [T].
  public var positions: [Int32]
  /// How long each segment is, [S]; their sum is T.
  public var segmentLengths: [Int]
  /// Which sample each segment is: an index into the loader's samples, [S].
  public var samples: [Int]

  /// Which of the data set's sources each segment came from, [S].
  public var sources: [Int]
  /// The place of each segment among the answers to one prompt, from 0; those that belong together follow one another, [S].
  public var ranks: [Int]
  /// What the data say of each segment in a number, [S]; nil where they say nothing.
  public var grades: [Double?]
  /// ln p of the learnt tokens of each segment by the model that an objective measures against, [S]; nil where none was asked.
  public var references: [Double?]
  /// What is to be learnt of each segment where the policy itself gave this answer, [S].
  public var experience: [Experience?]

  /// The samples at `indices` of `all`, in that order.
  public init(_ indices: [Int], of all: [EncodedSample]) {
    let chosen = indices.map { all[$0] }
    tokens = chosen.flatMap(\.ids)
    labels = chosen.flatMap { sample in zip(sample.ids, sample.trained).map { $1 ? $0 : Self.ignoredLabel } }
    positions = chosen.flatMap { sample in sample.ids.indices.map { Int32($0) } }
    segmentLengths = chosen.map(\.ids.count)
    samples = indices
    sources = chosen.map(\.source)
    ranks = chosen.map(\.rank)
    grades = chosen.map(\.grade)
    references = chosen.map(\.reference)
    experience = chosen.map(\.experience)
  }

  /// A row of some of its segments, in that order.
  public func segments(_ places: [Int]) -> Batch {
    var starts = [0]
    for length in segmentLengths { starts.append(starts[starts.count - 1] + length) }
    let ranges = places.map { starts[$0]..<starts[$0 + 1] }
    var part = self
    part.tokens = ranges.flatMap { tokens[$0] }
    part.labels = ranges.flatMap { labels[$0] }
    part.positions = ranges.flatMap { positions[$0] }
    part.segmentLengths = places.map { segmentLengths[$0] }
    (part.samples, part.sources) = (places.map { samples[$0] }, places.map { sources[$0] })
    (part.ranks, part.grades) = (places.map { ranks[$0] }, places.map { grades[$0] })
    (part.references, part.experience) = (places.map { references[$0] }, places.map { experience[$0] })
    return part
  }

  /// T.
  public var tokenCount: Int { tokens.count }

  /// How many tokens are targets: those learnt, but the first of each segment, which nothing predicts.
  public var trainedTokens: Int {
    var start = 0
    var count = 0
    for length in segmentLengths {
      count += labels[start..<start + length].dropFirst().count { $0 != Self.ignoredLabel }
      start += length
    }
    return count
  }
}
