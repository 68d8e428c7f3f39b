extension Character {
  /// Columns that a terminal gives it: 2 for East Asian wide characters and emoji, 0 for what only changes its neighbour, else 1.
  ///
  /// Unicode Standard Annex 11, “East Asian Width”, by blocks.
  public var displayWidth: Int {
    if unicodeScalars.contains("\u{FE0F}"), unicodeScalars.first?.properties.isEmoji == true { return 2 }
    return unicodeScalars.map(\.displayWidth).max() ?? 0
  }
}

extension Unicode.Scalar {
  fileprivate var displayWidth: Int {
    if value < 0x300 { return value == 0xAD ? 0 : 1 }
    switch properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control: return 0
    default: break
    }
    if properties.isEmojiPresentation { return 2 }
    return Self.wide.contains { $0.contains(value) } ? 2 : 1
  }

  /// Hangul, kana, ideographs and full-width forms.
  private static let wide: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x4DBF, 0x4E00...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3, 0xF900...0xFAFF,
    0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x1F200...0x1F2FF, 0x20000...0x3FFFD,
  ]
}

extension String {
  /// Columns that a terminal gives it.
  public var displayWidth: Int { reduce(0) { $0 + $1.displayWidth } }

  /// The text with spaces behind it, up to `columns`.
  public func padded(to columns: Int) -> String { self + String(repeating: " ", count: Swift.max(0, columns - displayWidth)) }

  /// The text without what would move a terminal's cursor or change its state: control characters become their pictures
  /// (U+2400 …), a tab four spaces. Line ends stay.
  public var printable: String {
    var text = ""
    for character in self {
      switch character {
      case "\n", "\r\n": text += "\n"
      case "\t": text += "    "
      default: for scalar in character.unicodeScalars { text.unicodeScalars.append(scalar.picture) }
      }
    }
    return text
  }
}

extension Unicode.Scalar {
  fileprivate var picture: Unicode.Scalar {
    switch value {
    case 0..<0x20: Unicode.Scalar(0x2400 + value) ?? "\u{FFFD}"
    case 0x7F: "\u{2421}"
    case 0x80..<0xA0, 0x202A...0x202E, 0x2066...0x2069: "\u{FFFD}"
    default: self
    }
  }
}
