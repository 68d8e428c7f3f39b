import Foundation

/// The date and time that `strftime_now` shows a template.
public struct TemplateClock: Sendable {
  private let now: @Sendable () -> Date
  private let timeZone: TimeZone

  /// A clock of one's own: fixed for reproducible renderings.
  public init(timeZone: TimeZone = .current, now: @escaping @Sendable () -> Date = { Date() }) {
    self.now = now
    self.timeZone = timeZone
  }

  /// The machine's clock and time zone.
  public static let system = TemplateClock()

  /// A clock that stands still.
  public static func fixed(_ date: Date, timeZone: TimeZone = .gmt) -> TemplateClock {
    TemplateClock(timeZone: timeZone) { date }
  }

  /// The time as C's `strftime` writes it in the C locale.
  func text(_ format: String) throws -> String {
    let moment = try Moment(now(), timeZone)
    var out = ""
    var scalars = format.unicodeScalars[...]
    while let scalar = scalars.popFirst() {
      guard scalar == "%", let directive = scalars.popFirst() else {
        out.unicodeScalars.append(scalar)
        continue
      }
      if directive == "-", let padded = scalars.popFirst() {
        let text = try moment.text(padded)
        out +=
          text.drop { $0 == "0" || $0 == " " }.isEmpty ? String(text.suffix(1)) : String(text.drop { $0 == "0" || $0 == " " })
      } else {
        out += try moment.text(directive)
      }
    }
    return out
  }
}

/// A moment's parts in a time zone.
private struct Moment {
  private static let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
  private static let months = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
  ]

  let date: Date
  let year: Int
  let month: Int
  let day: Int
  let hour: Int
  let minute: Int
  let second: Int
  let microsecond: Int
  /// From 0 for Sunday.
  let weekday: Int
  /// From 1.
  let dayOfYear: Int

  init(_ date: Date, _ timeZone: TimeZone) throws {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = timeZone
    let parts = calendar.dateComponents([.year, .month, .day, .hour, .minute, .second, .nanosecond, .weekday], from: date)
    guard let year = parts.year, let month = parts.month, let day = parts.day, let hour = parts.hour, let minute = parts.minute,
      let second = parts.second, let weekday = parts.weekday, let dayOfYear = calendar.ordinality(of: .day, in: .year, for: date)
    else { throw TemplateFailure("the clock's date cannot be shown") }
    self.date = date
    (self.year, self.month, self.day) = (year, month, day)
    (self.hour, self.minute, self.second) = (hour, minute, second)
    microsecond = (parts.nanosecond ?? 0) / 1_000
    self.weekday = weekday - 1
    self.dayOfYear = dayOfYear
  }

  private func padded(_ number: Int, _ width: Int, _ fill: String = "0") -> String {
    let digits = String(number)
    return String(repeating: fill, count: max(width - digits.count, 0)) + digits
  }

  /// What a directive shows, the percent sign left out.
  /// - Throws: for a directive that is not known.
  func text(_ directive: Unicode.Scalar) throws -> String {
    if let format = Self.compounds[directive] {
      return try format.split(separator: "%", omittingEmptySubsequences: false).enumerated().map { place, piece in
        guard place > 0, let first = piece.unicodeScalars.first else { return String(piece) }
        return try text(first) + piece.dropFirst()
      }.joined()
    }
    guard let text = day(directive) ?? time(directive) else {
      throw TemplateFailure("strftime_now() does not know the directive “%\(directive)”")
    }
    return text
  }

  private static let compounds: [Unicode.Scalar: String] = [
    "D": "%m/%d/%y", "F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "r": "%I:%M:%S %p", "c": "%a %b %e %H:%M:%S %Y",
    "x": "%m/%d/%y", "X": "%H:%M:%S",
  ]

  private func day(_ directive: Unicode.Scalar) -> String? {
    switch directive {
    case "Y": String(year)
    case "C": padded(year / 100, 2)
    case "y": padded(year % 100, 2)
    case "m": padded(month, 2)
    case "B": Self.months[month - 1]
    case "b", "h": String(Self.months[month - 1].prefix(3))
    case "d": padded(day, 2)
    case "e": padded(day, 2, " ")
    case "j": padded(dayOfYear, 3)
    case "A": Self.days[weekday]
    case "a": String(Self.days[weekday].prefix(3))
    case "w": String(weekday)
    case "u": String(weekday == 0 ? 7 : weekday)
    case "U": padded((dayOfYear + 6 - weekday) / 7, 2)
    case "W": padded((dayOfYear + 6 - (weekday + 6) % 7) / 7, 2)
    default: nil
    }
  }

  private func time(_ directive: Unicode.Scalar) -> String? {
    switch directive {
    case "H": padded(hour, 2)
    case "I": padded(hour % 12 == 0 ? 12 : hour % 12, 2)
    case "M": padded(minute, 2)
    case "S": padded(second, 2)
    case "f": padded(microsecond, 6)
    case "p": hour < 12 ? "AM" : "PM"
    case "s": Int(exactly: date.timeIntervalSince1970.rounded(.down)).map(String.init)
    case "Z", "z": ""
    case "n": "\n"
    case "t": "\t"
    case "%": "%"
    default: nil
    }
  }
}
