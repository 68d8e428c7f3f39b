import OrderedCollections
import Text

/// The header of a safetensors file: what tensors there are and where their bytes lie, all of it checked.
///
/// Format: eight bytes with the length N of the header (little-endian), N bytes of JSON, then the tensors' bytes without holes.
/// https://huggingface.co/docs/safetensors
struct SafetensorsHeader {
  /// One tensor.
  struct Entry {
    let type: SafetensorsType
    let shape: [Int]
    /// The bytes, counted from the first one after the header.
    let range: Range<Int>
  }

  /// The longest header that the reference library reads.
  static let byteLimit = 100_000_000
  private static let metadataKey = "__metadata__"

  /// The tensors, in the order of their bytes.
  private(set) var entries: OrderedDictionary<String, Entry> = [:]
  /// The free text of `__metadata__`.
  private(set) var metadata: [String: String] = [:]
  /// Where the tensors' bytes begin in the file.
  let dataStart: Int
  private let path: String

  /// Reads and checks the header of a file.
  ///
  /// - Throws: ``CheckpointError`` of kind `malformed` that names the tensor and what is wrong.
  init(_ bytes: UnsafeRawBufferPointer, path: String) throws(CheckpointError) {
    self.path = path
    dataStart = try SafetensorsHeader.dataStart(bytes, path: path)
    let text = UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart])
    guard text.first == UInt8(ascii: "{") else { throw wrong("the header does not begin with “{”") }
    let json: JSON
    // An object of tensors holds objects that hold arrays: three levels.
    do { json = try JSON(parsing: text, maximumDepth: 4, duplicateKeys: .refused) } catch {
      throw wrong("the header is \(error.description)")
    }
    guard let members = json.object else { throw wrong("the header is not a JSON object") }
    var found: [(name: String, entry: Entry)] = []
    found.reserveCapacity(members.count)
    for (name, value) in members {
      if name == SafetensorsHeader.metadataKey {
        metadata = try freeText(value)
      } else {
        found.append((name, try entry(value, name: name)))
      }
    }
    found.sort { ($0.entry.range.lowerBound, $0.entry.range.upperBound) < ($1.entry.range.lowerBound, $1.entry.range.upperBound) }
    try checkCover(found, dataCount: bytes.count - dataStart)
    entries = OrderedDictionary(uniqueKeysWithValues: found.map { ($0.name, $0.entry) })
  }

  private static func dataStart(_ bytes: UnsafeRawBufferPointer, path: String) throws(CheckpointError) -> Int {
    func wrong(_ problem: String) -> CheckpointError { CheckpointError(.malformed, at: path, problem) }
    guard bytes.count >= 8 else { throw wrong("has \(bytes.count) bytes; a safetensors file has at least 8") }
    let length = bytes.loadUnaligned(as: UInt64.self)
    guard length <= UInt64(byteLimit) else {
      throw wrong("declares a header of \(length) bytes, more than the \(byteLimit) allowed; is it a safetensors file?")
    }
    guard Int(length) <= bytes.count - 8 else {
      throw wrong("declares a header of \(length) bytes and has \(bytes.count - 8) after the length: it is cut off")
    }
    return 8 + Int(length)
  }

  private func wrong(_ problem: String, tensor: String? = nil) -> CheckpointError {
    CheckpointError(.malformed, at: path, in: tensor.map { "tensor “\($0)”" }, problem)
  }

  private func freeText(_ metadata: JSON) throws(CheckpointError) -> [String: String] {
    // mlx writes null where it has nothing to say.
    if metadata.isNull { return [:] }
    guard let members = metadata.object else { throw wrong("“__metadata__” is not an object") }
    var texts: [String: String] = [:]
    for (key, value) in members {
      guard let text = value.string else { throw wrong("“__metadata__” holds something other than text under “\(key)”") }
      texts[key] = text
    }
    return texts
  }

  private func entry(_ value: JSON, name: String) throws(CheckpointError) -> Entry {
    guard let code = value["dtype"]?.string else { throw wrong("has no “dtype”", tensor: name) }
    guard let type = SafetensorsType(rawValue: code) else {
      throw CheckpointError(.unsupported, at: path, in: "tensor “\(name)”", "has the unknown element type “\(code)”")
    }
    guard let shape = integers(value["shape"]) else { throw wrong("its “shape” is not a list of whole numbers", tensor: name) }
    guard let offsets = integers(value["data_offsets"]), offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1] else {
      throw wrong("its “data_offsets” are not two ascending whole numbers", tensor: name)
    }
    guard let count = TensorExtent.elementCount(shape), let bytes = TensorExtent.byteCount(count, size: type.byteSize) else {
      throw wrong("its shape \(shape) is not one a tensor can have", tensor: name)
    }
    guard bytes == offsets[1] - offsets[0] else {
      throw wrong(
        "shape \(shape) of \(code) takes \(bytes) bytes, its “data_offsets” span \(offsets[1] - offsets[0])", tensor: name)
    }
    return Entry(type: type, shape: shape, range: offsets[0]..<offsets[1])
  }

  private func integers(_ value: JSON?) -> [Int]? {
    guard let elements = value?.array else { return nil }
    var integers: [Int] = []
    for element in elements {
      guard case .int(let integer) = element else { return nil }
      integers.append(integer)
    }
    return integers
  }

  /// The format wants each byte after the header to belong to exactly one tensor.
  private func checkCover(_ found: [(name: String, entry: Entry)], dataCount: Int) throws(CheckpointError) {
    var end = 0
    for (name, entry) in found {
      let start = entry.range.lowerBound
      guard start >= end else { throw wrong("its bytes overlap those of the tensor before it", tensor: name) }
      guard start == end else { throw wrong("\(start - end) bytes before it belong to no tensor", tensor: name) }
      end = entry.range.upperBound
      guard end <= dataCount else {
        throw wrong("ends at byte \(end) of \(dataCount) after the header: the file is cut off", tensor: name)
      }
    }
    guard end == dataCount else { throw wrong("\(dataCount - end) bytes at the end belong to no tensor") }
  }
}
