/// Cuts comma-separated text into records, byte by byte (RFC 4180: quoted fields may hold delimiters, line ends and doubled quotes).
struct CSVParser {
  /// One record.
  struct Record {
    /// The line on which it begins, from 1.
    var line = 1
    /// The bytes of its fields.
    var fields: [[UInt8]] = []
    /// What is wrong with it.
    var fault: String?

    /// An empty line.
    var isBlank: Bool { fields.count == 1 && fields[0].isEmpty && fault == nil }
  }

  private enum State { case fieldStart, plain, quoted, quoteInQuoted, carriageReturn }

  /// How many columns a record may have.
  static let columnLimit = 4096

  private let delimiter: UInt8
  private let byteLimit: Int
  private var state = State.fieldStart
  private var record = Record()
  private var field: [UInt8] = []
  private var byteCount = 0
  private var line = 1

  /// - Parameters:
  ///   - delimiter: what stands between fields.
  ///   - byteLimit: how many bytes a record may have; what is beyond is dropped and the record marked.
  init(delimiter: UInt8, byteLimit: Int) {
    self.delimiter = delimiter
    self.byteLimit = byteLimit
  }

  /// Takes one byte. The record that it ends, or nil.
  mutating func consume(_ byte: UInt8) -> Record? {
    if byte == 0x0A { line += 1 }
    switch state {
    case .quoted:
      if byte == UInt8(ascii: "\"") { state = .quoteInQuoted } else { append(byte) }
      return nil
    case .quoteInQuoted where byte == UInt8(ascii: "\""):
      append(byte)
      state = .quoted
      return nil
    case .fieldStart where byte == UInt8(ascii: "\""):
      state = .quoted
      return nil
    case .carriageReturn where byte != 0x0A:
      append(0x0D)
      state = .plain
    default: break
    }
    return consumePlain(byte)
  }

  private mutating func consumePlain(_ byte: UInt8) -> Record? {
    switch byte {
    case 0x0A: return endRecord()
    case 0x0D: state = .carriageReturn
    case delimiter: endField()
    default:
      if state == .quoteInQuoted { record.fault = "has text after the closing quote of field \(record.fields.count + 1)" }
      append(byte)
      state = .plain
    }
    return nil
  }

  /// What the end of the file leaves: the last record where no line end followed it.
  mutating func finish() -> Record? {
    if state == .quoted { record.fault = "has a quote in field \(record.fields.count + 1) that is never closed" }
    guard state != .fieldStart || !record.fields.isEmpty else { return nil }
    return endRecord()
  }

  private mutating func append(_ byte: UInt8) {
    byteCount += 1
    if byteCount > byteLimit {
      record.fault = "has more than \(byteLimit) bytes"
    } else {
      field.append(byte)
    }
  }

  private mutating func endField() {
    if record.fields.count < Self.columnLimit {
      record.fields.append(field)
    } else {
      record.fault = "has more than \(Self.columnLimit) fields"
    }
    field = []
    state = .fieldStart
  }

  private mutating func endRecord() -> Record {
    endField()
    defer {
      record = Record(line: line)
      byteCount = 0
    }
    return record
  }
}
