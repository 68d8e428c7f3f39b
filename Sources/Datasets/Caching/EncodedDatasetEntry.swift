import Foundation

/// Encoded data sets as the bytes of a cache entry, and back.
///
/// An entry is the letters ATTUNETC, the 32 bytes of its key, the data sets, and 32 bytes of `BlockDigest` over all that precedes
/// them. Numbers are little-endian. A data set is its weights, its report as JSON, the names of its files, a row of 52 bytes a
/// sample, the spans of learnt tokens (first token and length, 4 bytes each), and the ids, in 2 bytes each where all of them fit.
public enum EncodedDatasetEntry {
  private static let magic = Array("ATTUNETC".utf8)
  private static let headSize = magic.count + SHA256.digestSize
  /// The most data sets of an entry.
  private static let datasetLimit = 16

  /// Writes an entry, some megabytes at a time.
  ///
  /// - Throws: what `sink` throws.
  public static func write(
    _ datasets: [EncodedDataset], key: CacheKey, to sink: @escaping (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    var writer = EntryWriter(sink: sink)
    try writer.put(magic + key.digest)
    try writer.put(UInt64(datasets.count))
    for dataset in datasets { try writer.put(dataset) }
    try writer.finish()
  }

  /// The data sets of an entry; nil where the bytes are not an entry of this key, whole and undamaged.
  public static func read(_ bytes: UnsafeRawBufferPointer, key: CacheKey) -> [EncodedDataset]? {
    guard bytes.count >= headSize + SHA256.digestSize, bytes.starts(with: magic),
      bytes[magic.count..<headSize].elementsEqual(key.digest)
    else { return nil }
    let covered = UnsafeRawBufferPointer(rebasing: bytes.dropLast(SHA256.digestSize))
    guard BlockDigest.of(covered).elementsEqual(bytes.suffix(SHA256.digestSize)) else { return nil }
    var reader = EntryReader(UnsafeRawBufferPointer(rebasing: covered.dropFirst(headSize)))
    guard let count = reader.number(UInt64.self), count <= datasetLimit else { return nil }
    var datasets: [EncodedDataset] = []
    for _ in 0..<count {
      guard let dataset = reader.dataset() else { return nil }
      datasets.append(dataset)
    }
    return reader.isAtEnd ? datasets : nil
  }
}

/// What is stored of a sample beside its tokens.
private struct SampleRow {
  static let size = 52

  var tokens: UInt32
  var spans: UInt32
  var file: UInt32
  var source: UInt32
  var rank: UInt32
  var line: UInt64
  var index: UInt64
  /// The bits of grade and reference; those of `none` where there is none.
  var grade: UInt64
  var reference: UInt64

  /// Not a number.
  private static let none = Double.nan.bitPattern

  /// The bits of a number that may not be there, and back.
  static func bits(_ number: Double?) -> UInt64 { number?.bitPattern ?? none }
  static func number(_ bits: UInt64) -> Double? { bits == none ? nil : Double(bitPattern: bits) }
}

/// Gathers bytes and passes them on in large pieces.
private struct EntryWriter {
  private static let pieceSize = 1 << 22

  let sink: (UnsafeRawBufferPointer) throws -> Void
  private var buffer: [UInt8] = []
  private var digest = BlockDigest.Stream()

  init(sink: @escaping (UnsafeRawBufferPointer) throws -> Void) {
    self.sink = sink
  }

  mutating func put(_ bytes: some Collection<UInt8>) throws {
    buffer.append(contentsOf: bytes)
    if buffer.count >= Self.pieceSize { try flush() }
  }

  mutating func put<Number: FixedWidthInteger>(_ number: Number) throws {
    try withUnsafeBytes(of: number.littleEndian) { try put($0) }
  }

  mutating func finish() throws {
    try flush()
    try digest.digest().withUnsafeBytes(sink)
  }

  private mutating func flush() throws {
    try buffer.withUnsafeBytes { bytes in
      digest.update(bytes)
      try sink(bytes)
    }
    buffer.removeAll(keepingCapacity: true)
  }

  mutating func put(_ dataset: EncodedDataset) throws {
    try put(UInt64(dataset.weights.count))
    for weight in dataset.weights { try put(weight.bitPattern) }
    let encoder = JSONEncoder()
    // Equal data sets are equal bytes.
    encoder.outputFormatting = .sortedKeys
    let report = try encoder.encode(dataset.report)
    try put(UInt64(report.count))
    try put(report)
    let files = Self.unique(dataset.samples.map(\.location.file))
    try put(UInt64(files.names.count))
    for name in files.names {
      try put(UInt64(name.utf8.count))
      try put(name.utf8)
    }
    try put(UInt64(dataset.samples.count))
    let spans = dataset.samples.map { Self.spans(of: $0.trained) }
    for (sample, spans) in zip(dataset.samples, spans) {
      try put(UInt32(sample.ids.count))
      try put(UInt32(spans.count))
      try put(files.number[sample.location.file] ?? 0)
      try put(UInt32(sample.source))
      try put(UInt32(sample.rank))
      try put(UInt64(sample.location.line))
      try put(UInt64(sample.index))
      try put(SampleRow.bits(sample.grade))
      try put(SampleRow.bits(sample.reference))
    }
    for span in spans.joined() {
      try put(UInt32(span.lowerBound))
      try put(UInt32(span.count))
    }
    let isNarrow = dataset.samples.allSatisfy { $0.ids.allSatisfy { UInt16(exactly: $0) != nil } }
    try put(UInt64(isNarrow ? 2 : 4))
    for sample in dataset.samples {
      if isNarrow {
        try sample.ids.map { UInt16(truncatingIfNeeded: $0).littleEndian }.withUnsafeBytes { try put($0) }
      } else {
        try sample.ids.map(\.littleEndian).withUnsafeBytes { try put($0) }
      }
    }
  }

  private static func unique(_ names: [String]) -> (names: [String], number: [String: UInt32]) {
    var (unique, number): ([String], [String: UInt32]) = ([], [:])
    for name in names where number[name] == nil {
      number[name] = UInt32(unique.count)
      unique.append(name)
    }
    return (unique, number)
  }

  /// The stretches of true values.
  private static func spans(of flags: [Bool]) -> [Range<Int>] {
    var spans: [Range<Int>] = []
    var start: Int?
    for (index, flag) in flags.enumerated() {
      if flag, start == nil { start = index }
      if !flag, let first = start.take() { spans.append(first..<index) }
    }
    if let start { spans.append(start..<flags.count) }
    return spans
  }
}

/// Reads an entry forwards and never past its end.
private struct EntryReader {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
  }

  var isAtEnd: Bool { position == bytes.count }

  mutating func number<Number: FixedWidthInteger & BitwiseCopyable>(_: Number.Type) -> Number? {
    take(MemoryLayout<Number>.size).map { Number(littleEndian: $0.loadUnaligned(as: Number.self)) }
  }

  private mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
    guard count >= 0, count <= bytes.count - position else { return nil }
    defer { position += count }
    return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
  }

  /// A number of things that take at least `size` bytes each, of which there is room for so many.
  private mutating func count(of size: Int) -> Int? {
    guard let count = number(UInt64.self), count <= UInt64((bytes.count - position) / size) else { return nil }
    return Int(count)
  }

  private mutating func text() -> String? {
    count(of: 1).flatMap { take($0) }.flatMap { String(validating: $0, as: UTF8.self) }
  }

  mutating func dataset() -> EncodedDataset? {
    guard let weightCount = count(of: 8) else { return nil }
    var weights: [Double] = []
    for _ in 0..<weightCount { weights.append(Double(bitPattern: number(UInt64.self) ?? 0)) }
    guard
      let report = count(of: 1).flatMap({ take($0) }).flatMap({ try? JSONDecoder().decode(EncodingReport.self, from: Data($0)) }),
      let files = list(of: 8, { $0.text() }),
      let rows = list(of: SampleRow.size, { $0.row() }),
      let samples = samples(rows, files: files, sources: weights.count)
    else { return nil }
    return EncodedDataset(samples: samples, weights: weights, report: report)
  }

  private mutating func list<Element>(of size: Int, _ read: (inout EntryReader) -> Element?) -> [Element]? {
    guard let count = count(of: size) else { return nil }
    var elements: [Element] = []
    elements.reserveCapacity(count)
    for _ in 0..<count {
      guard let element = read(&self) else { return nil }
      elements.append(element)
    }
    return elements
  }

  private mutating func row() -> SampleRow? {
    guard let tokens = number(UInt32.self), let spans = number(UInt32.self), let file = number(UInt32.self),
      let source = number(UInt32.self), let rank = number(UInt32.self), let line = number(UInt64.self),
      let index = number(UInt64.self), let grade = number(UInt64.self), let reference = number(UInt64.self)
    else { return nil }
    return SampleRow(
      tokens: tokens, spans: spans, file: file, source: source, rank: rank, line: line, index: index, grade: grade,
      reference: reference)
  }

  private mutating func samples(_ rows: [SampleRow], files: [String], sources: Int) -> [EncodedSample]? {
    var places: [(row: SampleRow, span: Int, token: Int)] = []
    places.reserveCapacity(rows.count)
    var (spanCount, tokenCount) = (0, 0)
    for row in rows {
      places.append((row, spanCount, tokenCount))
      spanCount += Int(row.spans)
      tokenCount += Int(row.tokens)
    }
    guard spanCount <= bytes.count / 8, tokenCount <= bytes.count, let spans = take(spanCount * 8),
      let width = number(UInt64.self), width == 2 || width == 4, let ids = take(tokenCount * Int(width))
    else { return nil }
    let tokens = StoredTokens(spans: spans, ids: ids, isNarrow: width == 2)
    let samples = places.concurrentMap { place -> EncodedSample? in
      let row = place.row
      guard Int(row.file) < files.count, Int(row.source) < sources, let line = Int(exactly: row.line),
        let index = Int(exactly: row.index),
        let trained = tokens.mask(count: Int(row.tokens), spans: place.span..<place.span + Int(row.spans))
      else { return nil }
      var sample = EncodedSample(
        ids: tokens.ids(place.token..<place.token + Int(row.tokens)), trained: trained,
        location: SourceLocation(file: files[Int(row.file)], line: line), index: index, source: Int(row.source),
        rank: Int(row.rank))
      (sample.grade, sample.reference) = (SampleRow.number(row.grade), SampleRow.number(row.reference))
      return sample
    }
    let whole = samples.compactMap { $0 }
    return whole.count == samples.count ? whole : nil
  }
}

/// Spans and ids where they lie in an entry.
private struct StoredTokens: Sendable {
  nonisolated(unsafe) let spans: UnsafeRawBufferPointer
  nonisolated(unsafe) let ids: UnsafeRawBufferPointer
  let isNarrow: Bool

  func ids(_ range: Range<Int>) -> [Int32] {
    [Int32](unsafeUninitializedCapacity: range.count) { buffer, filled in
      for (place, token) in range.enumerated() {
        let id =
          isNarrow
          ? Int32(UInt16(littleEndian: ids.loadUnaligned(fromByteOffset: token * 2, as: UInt16.self)))
          : Int32(littleEndian: ids.loadUnaligned(fromByteOffset: token * 4, as: Int32.self))
        buffer.initializeElement(at: place, to: id)
      }
      filled = range.count
    }
  }

  /// The mask with these spans; nil where one reaches beyond it.
  func mask(count: Int, spans range: Range<Int>) -> [Bool]? {
    var mask = [Bool](repeating: false, count: count)
    for index in range {
      let start = Int(UInt32(littleEndian: spans.loadUnaligned(fromByteOffset: index * 8, as: UInt32.self)))
      let length = Int(UInt32(littleEndian: spans.loadUnaligned(fromByteOffset: index * 8 + 4, as: UInt32.self)))
      guard start + length <= count else { return nil }
      for place in start..<start + length { mask[place] = true }
    }
    return mask
  }
}
