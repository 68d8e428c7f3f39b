/// White space as Python's `str.isspace` and `\s` know it.
enum TemplateSpace {
  static func contains(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
    default: false
    }
  }

  /// Where Python's `str.splitlines` breaks, `\r\n` being one break.
  static func breaksLine(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
    default: false
    }
  }

  /// Where the run of white space that starts at `start` ends.
  static func end(in bytes: [UInt8], from start: Int) -> Int {
    var place = start
    while place < bytes.count {
      if bytes[place] < 0x80 {
        guard contains(UnicodeScalar(bytes[place])) else { break }
        place += 1
      } else {
        guard let (scalar, width) = scalar(in: bytes, at: place), contains(scalar) else { break }
        place += width
      }
    }
    return place
  }

  /// Where `bytes[start..<end]` ends without its trailing white space.
  static func trimmedEnd(of bytes: [UInt8], from start: Int, to end: Int) -> Int {
    var place = end
    while place > start {
      var first = place - 1
      while first > start, bytes[first] & 0xC0 == 0x80 { first -= 1 }
      guard let (scalar, _) = scalar(in: bytes, at: first), contains(scalar) else { break }
      place = first
    }
    return place
  }

  private static func scalar(in bytes: [UInt8], at place: Int) -> (Unicode.Scalar, width: Int)? {
    let text = String(decoding: bytes[place..<min(place + 4, bytes.count)], as: UTF8.self)
    return text.unicodeScalars.first.map { ($0, $0.utf8.count) }
  }
}
