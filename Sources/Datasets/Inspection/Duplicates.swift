/// Samples that occur more than once.
public struct Duplicates: Sendable, Hashable, Codable {
  /// Copies beyond the first of each.
  public var copies = 0
  /// The first sets of equal samples: the places of each.
  public var shown: [[SourceLocation]] = []

  mutating func add(_ places: [SourceLocation]) {
    copies += places.count - 1
    if shown.count < 5 { shown.append(Array(places.prefix(5))) }
  }
}

/// Groups samples by what they say, and by what they say without case, punctuation and spaces.
struct SampleIndex {
  /// For each sample, what stands for its transcript.
  private let exact: [UInt64]
  /// For each sample, what stands for the letters and digits of its transcript; nil where it has none.
  private let normalised: [UInt64?]
  private let locations: [SourceLocation]

  init(_ samples: [Sample]) {
    let keys = samples.concurrentMap { sample in
      let transcript = sample.transcript
      let letters = transcript.lowercased().filter { $0.isLetter || $0.isNumber }
      return (Fingerprint.of(transcript), letters.isEmpty ? nil : Fingerprint.of(letters))
    }
    exact = keys.map(\.0)
    normalised = keys.map(\.1)
    locations = samples.map(\.location)
  }

  /// Samples that are the same to the letter.
  func exactDuplicates() -> Duplicates {
    var duplicates = Duplicates()
    for group in groups(exact.indices, by: { exact[$0] }) { duplicates.add(group.map { locations[$0] }) }
    return duplicates
  }

  /// Samples that differ in case, punctuation or spaces only. Copies to the letter are not counted again.
  func nearDuplicates() -> Duplicates {
    var seen: Set<UInt64> = []
    let firsts = exact.indices.filter { seen.insert(exact[$0]).inserted && normalised[$0] != nil }
    var duplicates = Duplicates()
    for group in groups(firsts, by: { normalised[$0] ?? 0 }) { duplicates.add(group.map { locations[$0] }) }
    return duplicates
  }

  /// Groups of two and more, in the order of their first members.
  private func groups(_ indices: some Sequence<Int>, by key: (Int) -> UInt64) -> [[Int]] {
    Dictionary(grouping: indices, by: key).values.filter { $0.count > 1 }.sorted { $0[0] < $1[0] }
  }

  /// Samples of another data set that say the same as one of these, but for case, punctuation and spaces: both places.
  func overlap(with other: SampleIndex) -> Duplicates {
    var places: [UInt64: SourceLocation] = [:]
    for (key, location) in zip(zip(normalised, exact).map { $0 ?? $1 }, locations) where places[key] == nil {
      places[key] = location
    }
    var overlap = Duplicates()
    for (index, location) in other.locations.enumerated() {
      if let own = places[other.normalised[index] ?? other.exact[index]] { overlap.add([own, location]) }
    }
    return overlap
  }
}
