import Synchronization

/// The bytes that every id stands for inside a text, end to end, so that a text can be walked token by token without making any.
struct PieceTable: Sendable {
  private var bytes: [UInt8] = []
  private var ends: [Int] = [0]
  private var special: [Bool] = []

  /// A table with room for `capacity` ids.
  init(capacity: Int) {
    bytes.reserveCapacity(capacity * 8)
    ends.reserveCapacity(capacity + 1)
    special.reserveCapacity(capacity)
  }

  /// Enters the next id, whose bytes `write` appends.
  mutating func append(isSpecial: Bool, _ write: (inout [UInt8]) -> Void) {
    write(&bytes)
    ends.append(bytes.count)
    special.append(isSpecial)
  }

  @inline(__always)
  func isSpecial(_ id: Int32) -> Bool { id >= 0 && Int(id) < special.count && special[Int(id)] }

  /// Calls `body` with the bytes of `id`; with none outside the vocabulary.
  @inline(__always)
  func withBytes<Result>(of id: Int32, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    guard id >= 0, Int(id) < special.count else { return body(UnsafeBufferPointer(start: nil, count: 0)) }
    return bytes.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[ends[Int(id)]..<ends[Int(id) + 1]])) }
  }
}

/// A table that is made when it is first asked for.
final class LazyPieceTable: Sendable {
  private let table = Mutex<PieceTable?>(nil)

  /// The table; `make` is called where there is none yet, by one caller while others wait.
  func value(_ make: () -> PieceTable) -> PieceTable {
    table.withLock { table in
      if let table { return table }
      let made = make()
      table = made
      return made
    }
  }
}
