import Foundation

/// What a set of tokens depends on, in 256 bits: equal keys mean equal tokens.
///
/// It is made of named parts, each with its length, so that no two lists of parts are written alike.
public struct CacheKey: Sendable, Hashable {
  /// Raise it whenever the same data, tokenizer, template and settings come to give other tokens, masks, order or reports, or the
  /// bytes of an entry get another form. What older versions wrote is then never read again.
  public static let codeVersion = 4

  /// The digest, 32 bytes.
  public let digest: [UInt8]

  /// The digest in hexadecimal.
  public var name: String {
    digest.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
  }

  /// Gathers the parts of a key.
  public struct Builder: Sendable {
    private var hash = SHA256()
    /// The data files as they were when they were read, to be compared once the tokens are made.
    public private(set) var stamps = FileStamps()

    /// A key of this version of the code, for what is called `kind`.
    public init(_ kind: String) { self.init(kind, codeVersion: CacheKey.codeVersion) }

    init(_ kind: String, codeVersion: Int) {
      add(kind, codeVersion)
    }

    /// Adds raw bytes.
    public mutating func add(_ name: String, _ bytes: [UInt8]) {
      for part in [Array(name.utf8), bytes] {
        hash.update(LittleEndian.bytes(UInt64(part.count)))
        hash.update(part)
      }
    }

    /// Adds a text.
    public mutating func add(_ name: String, _ text: String) { add(name, Array(text.utf8)) }

    /// Adds a whole number.
    public mutating func add(_ name: String, _ number: Int) { add(name, LittleEndian.bytes(Int64(number))) }

    /// Adds a list of texts.
    public mutating func add(_ name: String, _ texts: [String]) {
      add(name, texts.count)
      // One update for all: vocabularies have hundreds of thousands.
      var bytes: [UInt8] = []
      for text in texts {
        bytes += LittleEndian.bytes(UInt64(text.utf8.count))
        bytes += text.utf8
      }
      add("texts", bytes)
    }

    /// Adds a value by its JSON, keys in order.
    public mutating func add(_ name: String, json value: some Encodable) throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      add(name, Array(try encoder.encode(value)))
    }

    /// Adds how samples become tokens.
    public mutating func add(_ name: String, _ settings: EncodingSettings) throws {
      var rest = settings
      // A set has no order of its own.
      rest.stopTokens = nil
      try add(name, json: rest)
      add("stops", settings.stopTokens.map { $0.sorted().flatMap { LittleEndian.bytes($0) } } ?? Array("none".utf8))
    }

    /// Adds samples: ids, masks and ranks.
    public mutating func add(_ name: String, samples: [EncodedSample]) {
      add(name, samples.count)
      add("lengths", contents: samples.flatMap { LittleEndian.bytes(Int64($0.ids.count)) + LittleEndian.bytes(Int64($0.rank)) })
      add("ids", contents: samples.flatMap { $0.ids.flatMap { LittleEndian.bytes($0) } })
      add("learnt", contents: samples.flatMap { $0.trained.map { $0 ? 1 : 0 } })
    }

    /// Adds large contents by their digest.
    public mutating func add(_ name: String, contents: [UInt8]) {
      add(name, contents.withUnsafeBytes { BlockDigest.of($0) })
    }

    /// Adds sources: paths, weights, formats, and the contents of their files.
    ///
    /// - Throws: ``DatasetError`` where a source is not there or a file cannot be read.
    public mutating func add(_ name: String, _ sources: [DataSource]) throws {
      add(name, sources.count)
      for source in sources {
        let files = try DataFile.find(source.path)
        add("path", source.path)
        try add("source", json: source)
        add("files", files.count)
        for file in files {
          let size = try stamps.add(file.path)
          add("file", file.path)
          add("contents", try BlockDigest.ofFile(file.path, size: size))
        }
      }
      guard stamps.areCurrent else {
        throw DatasetError("a data file changed while it was read", cure: "Start again once nothing writes to it")
      }
    }

    /// The key.
    public var key: CacheKey { CacheKey(digest: hash.digest()) }
  }
}

/// Files with size, time of change and number, by which it is seen that one was changed or replaced.
public struct FileStamps: Sendable, Hashable {
  private struct Stamp: Sendable, Hashable {
    let size: Int
    let number: UInt64
    let seconds: Int
    let nanoseconds: Int

    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      #if canImport(Darwin)
        let time = status.st_mtimespec
      #else
        let time = status.st_mtim
      #endif
      (size, number) = (Int(status.st_size), UInt64(status.st_ino))
      (seconds, nanoseconds) = (Int(time.tv_sec), Int(time.tv_nsec))
    }
  }

  private var stamps: [String: Stamp] = [:]

  /// True where every file is still what it was.
  public var areCurrent: Bool { stamps.allSatisfy { Stamp($0.key) == $0.value } }

  /// Notes a file and says its size.
  fileprivate mutating func add(_ path: String) throws(DatasetError) -> Int {
    guard let stamp = Stamp(path) else {
      throw DatasetError("cannot open “\(path)”", cure: "Check that the file is there and may be read")
    }
    stamps[path] = stamp
    return stamp.size
  }
}
