/// What encoding did to a data set.
public struct EncodingReport: Sendable, Hashable, Codable {
  /// A sample that is shown because something happened to it.
  public struct Shown: Sendable, Hashable, Codable, CustomStringConvertible {
    /// Where it was read.
    public var location: SourceLocation
    /// Its beginning, on one line.
    public var excerpt: String

    init(_ sample: Sample) {
      location = sample.location
      excerpt = sample.transcript.excerpt
    }

    /// What is said to people.
    public var description: String { "\(location): \(excerpt)" }
  }

  /// Some samples: how many, and the first of them.
  public struct Group: Sendable, Hashable, Codable {
    /// How many.
    public var count = 0
    /// The first ones.
    public var shown: [Shown] = []

    mutating func add(_ sample: Sample) {
      count += 1
      if shown.count < 5 { shown.append(Shown(sample)) }
    }
  }

  /// Samples that were given.
  public var samples = 0
  /// Samples, or pieces, that came out.
  public var encoded = 0
  /// Tokens before anything was cut or left out.
  public var tokens = 0
  /// Tokens cut off or left out.
  public var lostTokens = 0
  /// Tokens that are targets of the loss.
  public var trainedTokens = 0
  /// Samples longer than the limit, whatever was done with them.
  public var long = Group()
  /// Samples that had no target from the start. They are left out.
  public var untrained = Group()
  /// Samples that lost all their targets when they were cut. They are left out.
  public var untrainedOnceCut = Group()
  /// Samples whose prompt and completion were encoded apart, since the tokenizer would join them over the border.
  public var splitAtBorder = Group()

  /// A report on nothing yet.
  public init() {}

  /// The share of the tokens that were lost, from 0 to 1.
  public var lostShare: Double { tokens == 0 ? 0 : Double(lostTokens) / Double(tokens) }

  mutating func add(_ fitted: FittedSample, of sample: Sample) {
    samples += 1
    encoded += fitted.pieces.count
    tokens += fitted.tokenCount
    lostTokens += fitted.lostTokens
    trainedTokens += fitted.pieces.reduce(0) { $0 + $1.targetCount }
    if fitted.isLong { long.add(sample) }
    if fitted.isSplitAtBorder { splitAtBorder.add(sample) }
    switch fitted.fate {
    case .untrained: untrained.add(sample)
    case .untrainedOnceCut: untrainedOnceCut.add(sample)
    case .kept, .tooLong: break
    }
  }
}

extension EncodingReport: CustomStringConvertible {
  /// A few lines for the log.
  public var description: String {
    let kept = counted(tokens - lostTokens, "token")
    var lines = ["\(counted(samples, "sample")) became \(encoded): \(kept), \(trainedTokens) of them learnt"]
    func tell(_ group: Group, _ what: String) {
      guard group.count > 0 else { return }
      lines.append("\(group.count) \(what):")
      lines += group.shown.map { "  \($0)" }
    }
    tell(long, "longer than the limit; \(lostTokens) tokens (\((lostShare * 100).rounded(toPlaces: 1)) %) lost in all")
    tell(untrained, "left out: no token of theirs would be learnt")
    tell(untrainedOnceCut, "left out: cutting took every token to be learnt")
    tell(splitAtBorder, "encoded in two parts, since the tokenizer joins prompt and completion")
    return lines.joined(separator: "\n")
  }
}

extension String {
  /// The beginning of a text on one line: 160 characters at most.
  var excerpt: String {
    let head = prefix(160).replacing("\n", with: "⏎").replacing("\r", with: "")
    return count > 160 ? head + "…" : String(head)
  }
}

extension Double {
  /// Rounded for people to read.
  func rounded(toPlaces places: Int) -> Double {
    let scale = (0..<places).reduce(1.0) { scale, _ in scale * 10 }
    return (self * scale).rounded() / scale
  }
}
