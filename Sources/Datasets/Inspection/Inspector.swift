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
      limit: encoder?.settings.maxLength.map { InspectionReport.Limit(maxLength: $0, measures: measures) },
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
  /// What the limit takes; nil where it takes nothing.
  var lost: Int?

  init(_ sample: Sample, encoder: SampleEncoder?) {
    guard let encoder else {
      length = sample.transcript.utf8.count
      return
    }
    guard let fitted = try? encoder.fit(sample, index: 0) else { return }
    length = fitted.tokenCount
    trained = fitted.targetCount
    lost = fitted.isLong ? fitted.lostTokens : nil
  }
}

extension InspectionReport.Limit {
  fileprivate init(maxLength: Int, measures: [Measure]) {
    let losses = measures.compactMap(\.lost)
    let lost = losses.reduce(0, +)
    let total = measures.reduce(0) { $0 + ($1.length ?? 0) }
    self.init(
      maxLength: maxLength, longSamples: losses.count,
      longShare: measures.isEmpty ? 0 : Double(losses.count) / Double(measures.count),
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
