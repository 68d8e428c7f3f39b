/// Finds text in text by code points, in time linear in both: Swift's own search goes by grapheme clusters.
enum TextSearch {
  /// The byte offsets at which `needle` stands in `text`, in ascending order, none overlapping another.
  ///
  /// An empty needle is found nowhere.
  ///
  /// - Parameters:
  ///   - limit: how many to find at most.
  ///   - fromEnd: search from the right.
  static func offsets(of needle: String, in text: String, limit: Int = .max, fromEnd: Bool = false) -> [Int] {
    guard !needle.isEmpty, limit > 0, needle.utf8.count <= text.utf8.count else { return [] }
    guard fromEnd else { return offsets(of: Array(needle.utf8), in: text.utf8, limit: limit) }
    let mirrored = offsets(of: needle.utf8.reversed(), in: text.utf8.reversed(), limit: limit)
    return mirrored.reversed().map { text.utf8.count - $0 - needle.utf8.count }
  }

  private static func offsets(of needle: [UInt8], in text: some Sequence<UInt8>, limit: Int) -> [Int] {
    let fallback = borders(of: needle)
    var found: [Int] = []
    var matched = 0
    for (place, byte) in text.enumerated() {
      while matched > 0, needle[matched] != byte { matched = fallback[matched - 1] }
      if needle[matched] == byte { matched += 1 }
      guard matched == needle.count else { continue }
      found.append(place + 1 - needle.count)
      matched = 0
      if found.count == limit { break }
    }
    return found
  }

  static func contains(_ needle: String, in text: String) -> Bool {
    needle.isEmpty || !offsets(of: needle, in: text, limit: 1).isEmpty
  }

  /// For each prefix of `needle`, the length of the longest proper prefix that also ends it (Knuth, Morris and Pratt).
  private static func borders(of needle: [UInt8]) -> [Int] {
    var borders = [Int](repeating: 0, count: needle.count)
    var length = 0
    for place in needle.indices.dropFirst() {
      while length > 0, needle[length] != needle[place] { length = borders[length - 1] }
      if needle[length] == needle[place] { length += 1 }
      borders[place] = length
    }
    return borders
  }

  /// The pieces of `text` between the occurrences of `separator`, cut at most `limit` times.
  static func split(_ text: String, by separator: String, limit: Int = .max, fromEnd: Bool = false) -> [String] {
    let cuts = offsets(of: separator, in: text, limit: limit, fromEnd: fromEnd)
    return pieces(of: text, cuts, width: separator.utf8.count)
  }

  private static func pieces(of text: String, _ cuts: [Int], width: Int) -> [String] {
    var pieces: [String] = []
    var start = text.utf8.startIndex
    var offset = 0
    for cut in cuts {
      let end = text.utf8.index(start, offsetBy: cut - offset)
      pieces.append(String(text[start..<end]))
      start = text.utf8.index(end, offsetBy: width)
      offset = cut + width
    }
    pieces.append(String(text[start...]))
    return pieces
  }
}
