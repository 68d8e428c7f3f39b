/// A sample, or a piece of one, as tokens.
public struct EncodedSample: Sendable, Hashable {
  /// The token ids.
  public var ids: [Int32]
  /// True for the tokens that are learnt; as many as `ids`.
  public var trained: [Bool]
  /// Where the sample was read.
  public var location: SourceLocation
  /// The index of the sample in its data set.
  public var index: Int
  /// Which of the data set's sources it came from.
  public var source: Int
  /// The place among answers to one prompt, from 0, the best: those that belong together follow one another.
  public var rank: Int
  /// What the data say of the answer in a number: answers to one prompt are apart by so much; nil where they say nothing.
  public var grade: Double?
  /// ln p of the learnt tokens by the model that an objective measures against; nil where none was asked.
  public var reference: Double?
  /// What is to be learnt of it where the policy itself gave this answer.
  public var experience: Experience?

  /// An encoded sample.
  ///
  /// - Precondition: `ids` and `trained` are equally long.
  public init(ids: [Int32], trained: [Bool], location: SourceLocation, index: Int, source: Int = 0, rank: Int = 0) {
    precondition(ids.count == trained.count, "one mask value for each token")
    self.rank = rank
    self.ids = ids
    self.trained = trained
    self.location = location
    self.index = index
    self.source = source
  }

  /// How many tokens are targets: those learnt, but the first, which nothing predicts.
  public var targetCount: Int { trained.dropFirst().count { $0 } }
}
