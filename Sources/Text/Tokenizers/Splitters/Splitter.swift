/// What a text is split at.
enum Splitter: Sendable {
  /// One of the known patterns, which cover every text.
  case words(WordPattern)
  /// A regular expression.
  case pattern(ScalarPattern)
  /// A literal that is not empty.
  case literal([UInt8])
  /// Each scalar of a set.
  case scalars(ScalarSet)

  /// A stretch of a text: a match, or what lies between two.
  struct Segment {
    var start: Int
    var end: Int
    var isMatch: Bool
  }

  /// The segments of `text[range]`, in order, without gaps. `text` is well-formed UTF-8.
  func segments(of text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, scratch: inout PatternMatcher) -> [Segment] {
    var list = SegmentList(last: range.lowerBound)
    switch self {
    case .words(let pattern):
      pattern.scan(text, range) { list.match($0, $1) }
    case .pattern(let pattern):
      scratch.forEachMatch(of: pattern, in: text, range) { list.match($0, $1) }
    case .literal(let literal):
      Splitter.find(literal, in: text, range, into: &list)
    case .scalars(let set):
      let traits = ScalarTraits.Reader()
      var index = range.lowerBound
      while index < range.upperBound {
        let (value, length) = UTF8Scalars.scalar(in: text, at: index)
        if set.contains(value, traits) { list.match(index, index + length) }
        index += length
      }
    }
    list.close(at: range.upperBound)
    return list.segments
  }

  private static func find(
    _ literal: [UInt8], in text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, into list: inout SegmentList
  ) {
    literal.withUnsafeBufferPointer { literal in
      var index = range.lowerBound
      while index + literal.count <= range.upperBound {
        let candidate = UnsafeBufferPointer(rebasing: text[index..<index + literal.count])
        if ByteHash.equal(candidate, literal) {
          list.match(index, index + literal.count)
          index += literal.count
        } else {
          index += 1
        }
      }
    }
  }
}

/// Collects matches and fills in what lies between them.
private struct SegmentList {
  var segments: [Splitter.Segment] = []
  var last: Int

  init(last: Int) { self.last = last }

  mutating func match(_ start: Int, _ end: Int) {
    if last < start { segments.append(.init(start: last, end: start, isMatch: false)) }
    segments.append(.init(start: start, end: end, isMatch: true))
    last = end
  }

  mutating func close(at end: Int) {
    if last < end { segments.append(.init(start: last, end: end, isMatch: false)) }
  }
}

/// What becomes of the matches that a text is split at.
enum SplitBehavior: String, Sendable {
  case removed = "Removed"
  case isolated = "Isolated"
  case mergedWithPrevious = "MergedWithPrevious"
  case mergedWithNext = "MergedWithNext"
  case contiguous = "Contiguous"

  /// The pieces that remain; empty ones are left out.
  func pieces(of segments: [Splitter.Segment]) -> [Splitter.Segment] {
    let joined =
      switch self {
      case .removed: segments.filter { !$0.isMatch }
      case .isolated: segments
      case .contiguous: SplitBehavior.join(segments) { $0.isMatch == $1.isMatch }
      case .mergedWithPrevious: SplitBehavior.join(segments) { !$0.isMatch && $1.isMatch }
      case .mergedWithNext: SplitBehavior.join(segments) { $0.isMatch && !$1.isMatch }
      }
    return joined.filter { $0.start < $0.end }
  }

  /// Joins each segment to the one before it where `belongs(before, segment)`; the flags compared are those of the segments themselves.
  private static func join(
    _ segments: [Splitter.Segment], where belongs: (Splitter.Segment, Splitter.Segment) -> Bool
  ) -> [Splitter.Segment] {
    var result: [Splitter.Segment] = []
    var before: Splitter.Segment?
    for segment in segments {
      if let known = before, belongs(known, segment) {
        result[result.count - 1].end = segment.end
      } else {
        result.append(segment)
      }
      before = segment
    }
    return result
  }
}
