import Foundation

/// A Unicode normalization form (UAX #15).
///
/// Foundation gives the decomposition of single scalars only: its normalization of whole strings takes U+200C0 for U+00C0 and
/// leaves a Hangul syllable apart from the consonant after it.
struct NormalizationForm: Sendable, Hashable {
  let composes: Bool
  let isCompatible: Bool

  static let canonicalComposition = NormalizationForm(composes: true, isCompatible: false)
  static let canonicalDecomposition = NormalizationForm(composes: false, isCompatible: false)
  static let compatibilityComposition = NormalizationForm(composes: true, isCompatible: true)
  static let compatibilityDecomposition = NormalizationForm(composes: false, isCompatible: true)

  /// The version of Unicode whose mappings count: that of the reference implementation. Later scalars stay as they are.
  private static let unicodeVersion = 9

  /// The form of well-formed UTF-8.
  func apply(to text: [UInt8]) -> [UInt8] {
    let scalars = String(decoding: text, as: UTF8.self).unicodeScalars
    if scalars.allSatisfy({ isStable($0.value) }) { return text }
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 4)
    var segment: [Unicode.Scalar] = []
    for scalar in scalars {
      if isStable(scalar.value) {
        flush(&segment, to: &result)
      }
      segment.append(scalar)
    }
    flush(&segment, to: &result)
    return result
  }

  /// True for a scalar that the form leaves alone, that begins a new character and that nothing before it composes with.
  private func isStable(_ value: UInt32) -> Bool {
    if value < 0x80 { return true }
    guard self == .canonicalComposition else { return false }
    if value < 0x300 { return true }
    var (low, high) = (0, NormalizationForm.stableRanges.count)
    while low < high {
      let middle = (low + high) / 2
      if NormalizationForm.stableRanges[middle].upperBound < value { low = middle + 1 } else { high = middle }
    }
    return low < NormalizationForm.stableRanges.count && NormalizationForm.stableRanges[low].contains(value)
  }

  /// Most of what is stable under canonical composition. The rest is only slower.
  private static let stableRanges: [ClosedRange<UInt32>] = [
    0x390...0x482, 0x48A...0x52F, 0x531...0x58A, 0x5D0...0x5EA, 0x621...0x64A, 0x904...0x939, 0xE01...0xE37, 0xE40...0xE47,
    0x1E00...0x1E99, 0x1EA0...0x1EF9, 0x2010...0x2027, 0x2030...0x205E, 0x2070...0x2071, 0x20A0...0x20BE, 0x2100...0x2125,
    0x212C...0x2328, 0x232B...0x2ADB, 0x3001...0x3029, 0x3041...0x3096, 0x309D...0x30FF, 0x3105...0x312D, 0x3400...0x4DB5,
    0x4E00...0x9FD5, 0xAC00...0xD7A3, 0xFF01...0xFFBE, 0x1F000...0x1FAFF, 0x20000...0x2A6D6,
  ]

  private func flush(_ segment: inout [Unicode.Scalar], to result: inout [UInt8]) {
    defer { segment.removeAll(keepingCapacity: true) }
    if segment.count == 1, isStable(segment[0].value) {
      result.append(contentsOf: String(segment[0]).utf8)
      return
    }
    let ordered = NormalizationForm.ordered(segment.flatMap { decomposition(of: $0) })
    for scalar in composes ? NormalizationForm.composed(ordered) : ordered { result.append(contentsOf: String(scalar).utf8) }
  }

  // MARK: Decomposition

  private func decomposition(of scalar: Unicode.Scalar) -> [Unicode.Scalar] {
    if scalar.isASCII || NormalizationForm.isLater(scalar) { return [scalar] }
    if let jamo = Hangul.decomposition(of: scalar) { return jamo }
    let single = String(scalar)
    let mapped = isCompatible ? single.decomposedStringWithCompatibilityMapping : single.decomposedStringWithCanonicalMapping
    return Array(mapped.unicodeScalars)
  }

  private static func isLater(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.age.map { $0.major > unicodeVersion } ?? true
  }

  private static func combiningClass(_ scalar: Unicode.Scalar) -> UInt8 {
    isLater(scalar) ? 0 : scalar.properties.canonicalCombiningClass.rawValue
  }

  /// Brings each run of combining marks into the order of their classes, leaving equal ones as they are.
  private static func ordered(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var result = scalars
    let classes = scalars.map(combiningClass)
    var start = 0
    while start < scalars.count {
      guard classes[start] != 0 else {
        start += 1
        continue
      }
      let end = classes[start...].firstIndex(of: 0) ?? scalars.count
      let order = (start..<end).sorted { (classes[$0], $0) < (classes[$1], $1) }
      for (offset, index) in order.enumerated() { result[start + offset] = scalars[index] }
      start = end
    }
    return result
  }

  // MARK: Composition

  private static func composed(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    var starter: Int?
    var lastClass: UInt8 = 0
    for scalar in scalars {
      let combining = combiningClass(scalar)
      if let index = starter {
        let isAdjacent = index == result.count - 1
        if isAdjacent || lastClass < combining, let composite = composite(result[index], scalar, combining) {
          result[index] = composite
          continue
        }
      }
      if combining == 0 { starter = result.count }
      lastClass = combining
      result.append(scalar)
    }
    return result
  }

  /// Scalars of combining class 0, Hangul aside, that compose with the one before them.
  private static let composingStarters: Set<UInt32> = [
    0x9BE, 0x9D7, 0xB3E, 0xB56, 0xB57, 0xBBE, 0xBD7, 0xCC2, 0xCD5, 0xCD6, 0xD3E, 0xD57, 0xDCF, 0xDDF, 0x102E, 0x1B35, 0x11127,
    0x1133E, 0x11357, 0x114B0, 0x114BA, 0x114BD, 0x115AF,
  ]

  private static func composite(_ first: Unicode.Scalar, _ second: Unicode.Scalar, _ combining: UInt8) -> Unicode.Scalar? {
    if let syllable = Hangul.composite(first, second) { return syllable }
    guard combining != 0 || composingStarters.contains(second.value) else { return nil }
    if first.value == 0xCCA, second.value == 0xCD5 { return "\u{CCB}" }  // the one pair that Foundation leaves apart
    let pair = String(first) + String(second)
    let scalars = pair.precomposedStringWithCanonicalMapping.unicodeScalars
    guard let only = scalars.first, scalars.count == 1, !isLater(only) else { return nil }
    func decomposed(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
      ordered(scalars.flatMap { NormalizationForm.canonicalDecomposition.decomposition(of: $0) })
    }
    return decomposed([only]) == decomposed([first, second]) ? only : nil
  }
}

/// Hangul syllables and the letters they are made of, by the arithmetic of the Unicode Standard, section 3.12.
private enum Hangul {
  private static let (syllables, leads, vowels, tails): (UInt32, UInt32, UInt32, UInt32) = (0xAC00, 0x1100, 0x1161, 0x11A7)
  private static let (leadCount, vowelCount, tailCount): (UInt32, UInt32, UInt32) = (19, 21, 28)

  static func decomposition(of scalar: Unicode.Scalar) -> [Unicode.Scalar]? {
    guard scalar.value >= syllables, scalar.value - syllables < leadCount * vowelCount * tailCount else { return nil }
    let index = scalar.value - syllables
    let (pair, tail) = (index / tailCount, index % tailCount)
    let values = [leads + pair / vowelCount, vowels + pair % vowelCount] + (tail > 0 ? [tails + tail] : [])
    return values.compactMap { Unicode.Scalar($0) }
  }

  static func composite(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
    if (leads..<leads + leadCount).contains(first.value), (vowels..<vowels + vowelCount).contains(second.value) {
      return Unicode.Scalar(syllables + ((first.value - leads) * vowelCount + second.value - vowels) * tailCount)
    }
    guard first.value >= syllables, first.value - syllables < leadCount * vowelCount * tailCount,
      (first.value - syllables) % tailCount == 0, (tails + 1..<tails + tailCount).contains(second.value)
    else { return nil }
    return Unicode.Scalar(first.value + second.value - tails)
  }
}
