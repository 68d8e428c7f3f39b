import OrderedCollections

/// The head of a GGUF file: metadata and the table of tensors, all of it checked against the file's size.
///
/// Format: the letters GGUF, the version, the number of tensors and of key-value pairs, the pairs, the table of tensors, padding to
/// the alignment, the tensors' bytes. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
struct GGUFHeader {
  /// One tensor.
  struct Entry {
    let type: GGMLType
    /// Sizes, outermost first; the file has them the other way round.
    let shape: [Int]
    /// The bytes, counted from the beginning of the file.
    let range: Range<Int>
  }

  let metadata: GGUFMetadata
  /// The tensors, in the order of the table.
  let entries: OrderedDictionary<String, Entry>

  /// The longest key the format allows.
  private static let keyLimit = 65_535
  /// ggml keeps names in 64 bytes, some forks in 128.
  private static let nameLimit = 255
  private static let rankLimit = 4

  /// Reads and checks the head of a file with a cursor at its beginning.
  ///
  /// - Throws: ``CheckpointError`` of kind `malformed` or `unsupported` that names the key or tensor and what is wrong.
  init(_ cursor: inout GGUFCursor, path: String) throws(CheckpointError) {
    let fileSize = cursor.remaining
    let counts = try GGUFHeader.counts(&cursor, path: path)
    metadata = try GGUFHeader.metadata(&cursor, count: counts.pairs, path: path)
    let alignment = try GGUFHeader.alignment(metadata)
    entries = try GGUFHeader.entries(&cursor, count: counts.tensors, alignment: alignment, fileSize: fileSize, path: path)
  }

  private static func counts(
    _ cursor: inout GGUFCursor, path: String
  ) throws(CheckpointError) -> (tensors: Int, pairs: Int) {
    let magic = try cursor.number(UInt32.self, "the first four bytes")
    guard magic == 0x4655_4747 else { throw CheckpointError(.malformed, at: path, "does not begin with the letters GGUF") }
    let version = try cursor.number(UInt32.self, "the version")
    guard version & 0xFFFF != 0 else {
      throw CheckpointError(
        .unsupported, at: path, "is a big-endian GGUF file", remedy: "Convert the model again without --bigendian")
    }
    guard version == 2 || version == 3 else {
      throw CheckpointError(.unsupported, at: path, "is GGUF version \(version); versions 2 and 3 can be read")
    }
    // A tensor's entry: length of the name, number of dimensions, type, offset. A pair: length of the key, type, one byte.
    let tensors = try cursor.count("the number of tensors", minimumSize: 24)
    let pairs = try cursor.count("the number of metadata keys", minimumSize: 13)
    return (tensors, pairs)
  }

  private static func metadata(
    _ cursor: inout GGUFCursor, count: Int, path: String
  ) throws(CheckpointError) -> GGUFMetadata {
    var values: OrderedDictionary<String, GGUFValue> = [:]
    for index in 0..<count {
      cursor.subject = "metadata key \(index)"
      let key = try cursor.string("the key", limit: keyLimit)
      cursor.subject = "key “\(key)”"
      let value = try cursor.value()
      guard values.updateValue(value, forKey: key) == nil else { throw cursor.wrong("comes twice") }
    }
    return GGUFMetadata(values: values, path: path)
  }

  private static func alignment(_ metadata: GGUFMetadata) throws(CheckpointError) -> Int {
    let key = "general.alignment"
    guard let alignment = try metadata.int(key) else { return 32 }
    guard alignment > 0, alignment & (alignment - 1) == 0, alignment <= 1 << 30 else {
      throw CheckpointError(.malformed, at: metadata.path, in: "key “\(key)”", "\(alignment) is not a power of two up to 2^30")
    }
    return alignment
  }

  private static func entries(
    _ cursor: inout GGUFCursor, count: Int, alignment: Int, fileSize: Int, path: String
  ) throws(CheckpointError) -> OrderedDictionary<String, Entry> {
    var declared: OrderedDictionary<String, (type: GGMLType, shape: [Int], offset: Int, byteCount: Int)> = [:]
    for index in 0..<count {
      cursor.subject = "tensor \(index)"
      let name = try cursor.string("the name", limit: nameLimit)
      cursor.subject = "tensor “\(name)”"
      let entry = try declaration(&cursor, alignment: alignment, path: path)
      guard declared.updateValue(entry, forKey: name) == nil else { throw cursor.wrong("comes twice") }
    }
    let start = (cursor.position + alignment - 1) & ~(alignment - 1)
    var entries: OrderedDictionary<String, Entry> = [:]
    for (name, entry) in declared {
      cursor.subject = "tensor “\(name)”"
      let room = fileSize - start - entry.offset
      guard entry.byteCount <= room else {
        throw cursor.wrong(
          "takes \(entry.byteCount) bytes from byte \(start + entry.offset), the file has \(fileSize): it is cut off or damaged")
      }
      let first = start + entry.offset
      entries[name] = Entry(type: entry.type, shape: entry.shape, range: first..<first + entry.byteCount)
    }
    try checkOverlap(entries, path: path)
    return entries
  }

  private static func declaration(
    _ cursor: inout GGUFCursor, alignment: Int, path: String
  ) throws(CheckpointError) -> (type: GGMLType, shape: [Int], offset: Int, byteCount: Int) {
    let rank = try cursor.number(UInt32.self, "the number of dimensions")
    guard rank <= rankLimit else { throw cursor.wrong("has \(rank) dimensions, more than \(rankLimit)") }
    var shape: [Int] = []
    for _ in 0..<rank {
      let size = try cursor.number(UInt64.self, "a size")
      guard let size = Int(exactly: size) else { throw cursor.wrong("its size \(size) is not one a tensor can have") }
      shape.insert(size, at: 0)
    }
    let code = try cursor.number(UInt32.self, "the element type")
    guard let type = GGMLType(code: code) else {
      throw CheckpointError(
        .unsupported, at: path, in: cursor.subject, "has the unknown element type \(code)")
    }
    guard let elements = TensorExtent.elementCount(shape), (shape.last ?? 1) % type.blockLength == 0,
      let byteCount = TensorExtent.byteCount(elements / type.blockLength, size: type.blockByteCount)
    else { throw cursor.wrong("its shape \(shape) is not one a tensor of type \(type.name) can have") }
    let declared = try cursor.number(UInt64.self, "the offset")
    // Half of the range of Int leaves room to add without overflow.
    guard declared <= UInt64(Int.max / 2), Int(declared) % alignment == 0 else {
      throw cursor.wrong("its offset \(declared) is not a multiple of the alignment \(alignment)")
    }
    return (type, shape, Int(declared), byteCount)
  }

  private static func checkOverlap(_ entries: OrderedDictionary<String, Entry>, path: String) throws(CheckpointError) {
    let sorted = entries.elements.filter { !$0.value.range.isEmpty }.sorted {
      $0.value.range.lowerBound < $1.value.range.lowerBound
    }
    for (before, after) in zip(sorted, sorted.dropFirst()) where after.value.range.lowerBound < before.value.range.upperBound {
      throw CheckpointError(
        .malformed, at: path, in: "tensor “\(after.key)”", "its bytes overlap those of tensor “\(before.key)”")
    }
  }
}
