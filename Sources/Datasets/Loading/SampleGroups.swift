extension [EncodedSample] {
  /// The samples that belong together: each with those of higher ranks that follow it.
  public var groups: [Range<Int>] {
    var groups: [Range<Int>] = []
    for (index, sample) in enumerated() {
      if sample.rank > 0, let last = groups.last {
        groups[groups.count - 1] = last.lowerBound..<index + 1
      } else {
        groups.append(index..<index + 1)
      }
    }
    return groups
  }
}
