/// Reads a GGUF file's header forwards and never past its end.
///
/// Everything whose size the file declares is checked here against the bytes that are left before room is made for it, so that a
/// false length is an error and not an allocation.
struct GGUFCursor {
  private let bytes: UnsafeRawBufferPointer
  private let path: String
  /// The next byte.
  private(set) var position = 0
  /// The most bytes ever set aside for one declared length.
  private(set) var largestReservation = 0
  /// What is being read, for messages.
  var subject: String?

  init(_ bytes: UnsafeRawBufferPointer, path: String) {
    self.bytes = bytes
    self.path = path
  }

  /// The bytes not yet read.
  var remaining: Int { bytes.count - position }

  func wrong(_ problem: String) -> CheckpointError { CheckpointError(.malformed, at: path, in: subject, problem) }

  /// The next number.
  mutating func number<Number: BitwiseCopyable>(_: Number.Type, _ what: String) throws(CheckpointError) -> Number {
    let size = MemoryLayout<Number>.size
    guard size <= remaining else { throw wrong("the file ends inside \(what), at byte \(bytes.count)") }
    defer { position += size }
    return bytes.loadUnaligned(fromByteOffset: position, as: Number.self)
  }

  /// The next 64-bit number, as a count of things that take at least `minimumSize` bytes each in the file.
  mutating func count(_ what: String, minimumSize: Int) throws(CheckpointError) -> Int {
    let declared = try number(UInt64.self, what)
    guard declared <= UInt64(remaining / minimumSize) else {
      throw wrong("\(what) is \(declared), more than fit in the \(remaining) bytes left in the file: it is cut off or damaged")
    }
    return Int(declared)
  }

  /// The next text: its length in eight bytes, then UTF-8.
  mutating func string(_ what: String, limit: Int = .max) throws(CheckpointError) -> String {
    let length = try count("the length of \(what)", minimumSize: 1)
    guard length <= limit else { throw wrong("the length of \(what) is \(length), more than the \(limit) allowed") }
    note(length)
    let text = bytes[position..<position + length]
    guard let valid = String(validating: text, as: UTF8.self) else { throw wrong("\(what) is not UTF-8") }
    position += length
    return valid
  }

  /// The next `count` numbers, a count that came from ``count(_:minimumSize:)``.
  mutating func numbers<Number: BitwiseCopyable>(_ count: Int, _: Number.Type) -> [Number] {
    let size = count * MemoryLayout<Number>.size
    note(size)
    let source = UnsafeRawBufferPointer(rebasing: bytes[position..<position + size])
    position += size
    return [Number](unsafeUninitializedCapacity: count) { buffer, filled in
      UnsafeMutableRawBufferPointer(buffer).copyMemory(from: source)
      filled = count
    }
  }

  /// Room for `count` elements, a count that came from ``count(_:minimumSize:)``.
  mutating func room<Element>(for count: Int, _: Element.Type) -> [Element] {
    note(count * MemoryLayout<Element>.stride)
    var elements: [Element] = []
    elements.reserveCapacity(count)
    return elements
  }

  private mutating func note(_ size: Int) { largestReservation = max(largestReservation, size) }
}
