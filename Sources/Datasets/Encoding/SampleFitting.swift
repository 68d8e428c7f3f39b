import Text

/// What became of one sample.
struct FittedSample: Sendable {
  /// Why a sample gives nothing to learn from.
  enum Fate: Sendable {
    case kept
    /// Longer than the limit, and left out as asked.
    case tooLong
    /// It has no target.
    case untrained
    /// Its targets were all cut off.
    case untrainedOnceCut
  }

  /// What is left of it: one sample, several pieces, or nothing.
  var pieces: [EncodedSample] = []
  var fate = Fate.kept
  /// Before anything was cut.
  var tokenCount: Int
  /// Before anything was cut.
  var targetCount: Int
  var lostTokens = 0
  var isLong: Bool
  var isSplitAtBorder: Bool
  /// The sample begins with two BOS.
  var hasDoubledBOS: Bool
  /// A token that ends an answer is among the targets.
  var learnsEnd: Bool

  /// This and a worse answer to the same prompt, of that rank; nothing is left of any where one of them is lost.
  func joined(with worse: FittedSample, rank: Int) -> FittedSample {
    var both = self
    both.tokenCount += worse.tokenCount
    both.targetCount += worse.targetCount
    both.isLong = isLong || worse.isLong
    both.isSplitAtBorder = isSplitAtBorder || worse.isSplitAtBorder
    both.hasDoubledBOS = hasDoubledBOS || worse.hasDoubledBOS
    both.fate = pieces.isEmpty ? fate : worse.fate
    both.pieces = pieces.isEmpty || worse.pieces.isEmpty ? [] : pieces + worse.pieces.map { $0.ranked(rank) }
    both.lostTokens = both.tokenCount - both.pieces.reduce(0) { $0 + $1.ids.count }
    return both
  }
}

extension EncodedSample {
  /// The same at another place among the answers to its prompt.
  fileprivate func ranked(_ rank: Int) -> EncodedSample {
    var sample = self
    sample.rank = rank
    return sample
  }
}

extension SampleEncoder {
  /// The sample as tokens, cut to the limit, without pieces that have no target. Of several answers, one sample each.
  func fit(_ sample: Sample, index: Int) throws(RowProblem) -> FittedSample {
    guard case .ranking(let answers) = sample.content else { return try fitOne(sample, index: index) }
    guard settings.truncation != .split else {
      throw RowProblem(
        sample.location, "is a pair of answers, which the truncation “split” would tear apart",
        cure: "Choose drop, keep-start or keep-end")
    }
    var all: FittedSample?
    for (rank, answer) in answers.enumerated() {
      var one = sample
      one.content = answer
      one.grades = sample.grades.indices.contains(rank) ? [sample.grades[rank]] : []
      let fitted = try fitOne(one, index: index)
      all = all?.joined(with: fitted, rank: rank) ?? fitted
    }
    guard let all else { return try fitOne(sample, index: index) }
    return all
  }

  private func fitOne(_ sample: Sample, index: Int) throws(RowProblem) -> FittedSample {
    let tokens = try tokens(of: sample)
    var whole = EncodedSample(
      ids: tokens.ids, trained: tokens.trained, location: sample.location, index: index, source: sample.source)
    whole.grade = sample.grades.first
    let limit = settings.maxLength ?? Int.max
    var fitted = FittedSample(
      tokenCount: whole.ids.count, targetCount: whole.targetCount, isLong: whole.ids.count > limit,
      isSplitAtBorder: tokens.isSplitAtBorder,
      hasDoubledBOS: beginOfText.map { whole.ids.starts(with: [$0, $0]) } ?? false, learnsEnd: false)
    let truncation = truncation(of: sample)
    fitted.pieces = cut(whole, to: limit, truncation).filter { $0.targetCount > 0 }
    fitted.lostTokens = whole.ids.count - fitted.pieces.reduce(0) { $0 + $1.ids.count }
    fitted.learnsEnd = fitted.pieces.contains { learnsEnd($0, isConversation: sample.messages != nil) }
    if fitted.isLong, truncation == .drop || truncation == .error {
      fitted.fate = .tooLong
    } else if fitted.pieces.isEmpty {
      fitted.fate = whole.targetCount > 0 ? .untrainedOnceCut : .untrained
    }
    return fitted
  }

  private func truncation(of sample: Sample) -> Truncation {
    if let chosen = settings.truncation { return chosen }
    if case .text = sample.content { return .split }
    return .keepStart
  }

  private func cut(_ sample: EncodedSample, to limit: Int, _ truncation: Truncation) -> [EncodedSample] {
    guard sample.ids.count > limit else { return [sample] }
    func piece(_ range: Range<Int>) -> EncodedSample {
      var piece = sample
      piece.ids = Array(sample.ids[range])
      piece.trained = Array(sample.trained[range])
      return piece
    }
    let count = sample.ids.count
    switch truncation {
    case .drop, .error: return []
    case .keepStart: return [piece(0..<limit)]
    case .keepEnd: return [piece(count - limit..<count)]
    case .split: return stride(from: 0, to: count, by: limit).map { piece($0..<min($0 + limit, count)) }
    }
  }

  private func learnsEnd(_ sample: EncodedSample, isConversation: Bool) -> Bool {
    zip(sample.ids, sample.trained).dropFirst().contains { id, trained in
      guard trained else { return false }
      if let stops = settings.stopTokens { return stops.contains(id) || id == endOfText }
      return id == endOfText || (isConversation && tokenizer.isSpecial(id))
    }
  }
}
