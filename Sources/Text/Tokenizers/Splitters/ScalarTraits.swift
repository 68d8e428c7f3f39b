/// What splitting patterns ask of a scalar: its general category, whether it is white space, whether it is alphabetic.
///
/// A set of bits: bit `c` for the general category with index `c`, and two for the properties.
struct ScalarTraits: OptionSet, Sendable, Hashable {
  let rawValue: UInt32

  init(rawValue: UInt32) { self.rawValue = rawValue }

  static let whitespace = ScalarTraits(rawValue: 1 << 30)
  static let alphabetic = ScalarTraits(rawValue: 1 << 31)

  /// Every general category.
  static let anyCategory = ScalarTraits(rawValue: 1 << UInt32(names.count) - 1)

  /// The two-letter names of the categories, in the order of their bits.
  static let names = [
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk",
    "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
  ]

  /// The categories whose name is `name` or starts with it: `Lu`, or `L` for all letters. Nil where there is none.
  static func category(_ name: String) -> ScalarTraits? {
    let found = names.indices.filter { names[$0] == name || (name.count == 1 && names[$0].hasPrefix(name)) }
    guard !found.isEmpty else { return nil }
    return ScalarTraits(rawValue: found.reduce(0) { $0 | 1 << UInt32($1) })
  }

  static let letter = ScalarTraits(rawValue: 0b11111)
  static let mark = ScalarTraits(rawValue: 0b111 << 5)
  static let number = ScalarTraits(rawValue: 0b111 << 8)
  static let punctuation = ScalarTraits(rawValue: 0b111_1111 << 11)
  static let symbol = ScalarTraits(rawValue: 0b1111 << 18)

  @inline(__always)
  func meets(_ other: ScalarTraits) -> Bool { rawValue & other.rawValue != 0 }
}

extension ScalarTraits {
  /// Where ``latin`` ends.
  private static let latinEnd: UInt32 = 0x250

  /// The traits of the scalars that texts in Latin letters consist of, by themselves: they are computed in no time when a program
  /// starts.
  private static let latin: [UInt8] = (UInt32(0)..<latinEnd).map { packed($0) }

  /// The traits of every scalar of the Basic Multilingual Plane, computed once a text holds one beyond ``latin``: 5 bits of
  /// category, 2 of properties.
  private static let table: [UInt8] = (UInt32(0)..<0x1_0000).map { packed($0) }

  /// The version of Unicode whose assignments count: that of the reference implementation. Later scalars are unassigned.
  private static let unicodeVersion = 16

  private static func packed(_ value: UInt32) -> UInt8 {
    guard let scalar = Unicode.Scalar(value) else { return Unicode.GeneralCategory.surrogate.bit }
    let properties = scalar.properties
    if let age = properties.age, age.major > unicodeVersion { return Unicode.GeneralCategory.unassigned.bit }
    return properties.generalCategory.bit | (properties.isWhitespace ? 0x20 : 0) | (properties.isAlphabetic ? 0x40 : 0)
  }

  @inline(__always)
  private static func unpack(_ packed: UInt8) -> ScalarTraits {
    ScalarTraits(rawValue: 1 << UInt32(packed & 0x1F) | UInt32(packed & 0x60) << 25)
  }

  /// A reader of the table, to be kept in a local variable around a loop.
  struct Reader: Sendable {
    private let latin = ScalarTraits.latin

    @inline(__always)
    subscript(value: UInt32) -> ScalarTraits {
      if value < ScalarTraits.latinEnd { return ScalarTraits.unpack(latin[Int(value)]) }
      return ScalarTraits.unpack(value < 0x1_0000 ? ScalarTraits.table[Int(value)] : ScalarTraits.packed(value))
    }
  }
}

extension Unicode.GeneralCategory {
  /// The index of the category in ``ScalarTraits/names``.
  fileprivate var bit: UInt8 {
    switch self {
    case .uppercaseLetter: 0
    case .lowercaseLetter: 1
    case .titlecaseLetter: 2
    case .modifierLetter: 3
    case .otherLetter: 4
    case .nonspacingMark: 5
    case .spacingMark: 6
    case .enclosingMark: 7
    case .decimalNumber: 8
    case .letterNumber: 9
    case .otherNumber: 10
    case .connectorPunctuation: 11
    case .dashPunctuation: 12
    case .openPunctuation: 13
    case .closePunctuation: 14
    case .initialPunctuation: 15
    case .finalPunctuation: 16
    case .otherPunctuation: 17
    case .mathSymbol: 18
    case .currencySymbol: 19
    case .modifierSymbol: 20
    case .otherSymbol: 21
    case .spaceSeparator: 22
    case .lineSeparator: 23
    case .paragraphSeparator: 24
    case .control: 25
    case .format: 26
    case .surrogate: 27
    case .privateUse: 28
    case .unassigned: 29
    @unknown default: 29
    }
  }
}
