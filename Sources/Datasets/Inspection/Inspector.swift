extension Dataset {
  /// Looks a data set over: sizes, duplicates, damage, what a limit would cost.
  ///
  /// Load it with `badRows: .skip`, so that bad rows are reported with the rest.
  ///
  /// - Parameters:
  ///   - encoder: counts tokens; nil to count bytes.
  ///   - eval: the data that will be measured on, to find samples that are in both.
  ///   - shown: how many places are named for each finding.
  public func inspected(with encoder: SampleEncoder? = nil, eval: Dataset? = nil, shown: Int = 10) -> InspectionReport {
    let measures = samples.concurrentMap { Measure($0, encoder: encoder) }
    let lengths = measures.compactMap(\.length)
    let quantiles = Quantiles(lengths)
    var worries = WorryList(limit: shown)
    for (sample, measure) in zip(samples, measures) {
      var kinds = sample.worries
      if encoder != nil, measure.length == nil { kinds.append(.unencodable) }
      if measure.trained == 0 { kinds.append(.untrained) }
      if let length = measure.length, let median = quantiles?.p50 {
        if length > 10 * median { kinds.append(.veryLong) }
        if length * 10 < median { kinds.append(.veryShort) }
      }
      worries.add(kinds, at: sample.location)
    }
    let index = SampleIndex(samples)
    return InspectionReport(
      sources: sources, samples: samples.count, badRows: badRows, unit: encoder == nil ? "bytes" : "tokens", lengths: quantiles,
      trained: encoder == nil ? nil : Quantiles(measures.compactMap(\.trained)),
      limit: encoder?.settings.maxLength.map { InspectionReport.Limit(maxLength: $0, lengths: lengths) },
      duplicates: index.exactDuplicates(), nearDuplicates: index.nearDuplicates(),
      evalOverlap: eval.map { index.overlap(with: SampleIndex($0.samples)) }, worries: worries.all)
  }
}

/// How long a sample is and how much of it is learnt.
private struct Measure: Sendable {
  /// Nil where it cannot be encoded.
  var length: Int?
  /// Targets; nil without a tokenizer.
  var trained: Int?

  init(_ sample: Sample, encoder: SampleEncoder?) {
    guard let encoder else {
      length = sample.transcript.utf8.count
      return
    }
    guard let tokens = try? encoder.tokens(of: sample) else { return }
    length = tokens.ids.count
    trained = tokens.trained.dropFirst().count { $0 }
  }
}

extension InspectionReport.Limit {
  fileprivate init(maxLength: Int, lengths: [Int]) {
    let long = lengths.filter { $0 > maxLength }
    let total = lengths.reduce(0, +)
    let lost = long.reduce(0) { $0 + $1 - maxLength }
    self.init(
      maxLength: maxLength, longSamples: long.count,
      longShare: lengths.isEmpty ? 0 : Double(long.count) / Double(lengths.count),
      lostTokens: lost, lostShare: total == 0 ? 0 : Double(lost) / Double(total))
  }
}

/// Gathers worries by kind.
private struct WorryList {
  private var byKind: [Worry.Kind: Worry] = [:]
  private let limit: Int

  init(limit: Int) {
    self.limit = limit
  }

  /// Those that were found, in the order of their kinds.
  var all: [Worry] { Worry.Kind.allCases.compactMap { byKind[$0] } }

  mutating func add(_ kinds: [Worry.Kind], at location: SourceLocation) {
    for kind in kinds {
      var worry = byKind[kind] ?? Worry(kind: kind, count: 0, shown: [])
      worry.count += 1
      if worry.shown.count < limit { worry.shown.append(location) }
      byKind[kind] = worry
    }
  }
}
