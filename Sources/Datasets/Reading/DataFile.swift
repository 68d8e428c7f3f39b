import Foundation

/// A file of rows: its path, and its layout as the extension says.
struct DataFile: Sendable {
  /// How rows are laid out.
  enum Layout: String, Sendable, CaseIterable {
    case jsonl, ndjson, json, csv, tsv, txt, md
  }

  let path: String
  let layout: Layout

  /// The files behind a path: itself, or those of a folder with a known extension, in the order of their names.
  ///
  /// - Throws: ``DatasetError`` where there is nothing there, or nothing that can be read.
  static func find(_ path: String) throws(DatasetError) -> [DataFile] {
    let known = Layout.allCases.map { "." + $0.rawValue }.joined(separator: ", ")
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw DatasetError("there is no file “\(path)”", cure: "Check the path; it is taken from the working folder")
    }
    guard isFolder.boolValue else {
      guard let file = DataFile(path: path) else {
        throw DatasetError("“\(path)” has no known extension", cure: "Rename it to one of \(known)")
      }
      return [file]
    }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    let files = names.filter { !$0.hasPrefix(".") }.sorted().compactMap { DataFile(path: path + "/" + $0) }
    guard !files.isEmpty else {
      throw DatasetError("the folder “\(path)” holds no data files", cure: "Known extensions: \(known)")
    }
    return files
  }

  private init?(path: String) {
    guard let layout = Layout(rawValue: URL(fileURLWithPath: path).pathExtension.lowercased()) else { return nil }
    self.path = path
    self.layout = layout
  }

  /// Hands every row to `body`, in order.
  func read(_ body: (RawRow) throws -> Void) throws {
    switch layout {
    case .jsonl, .ndjson:
      if try startsWithArray() { try readJSON(body) } else { try JSONLinesReader.read(path, body) }
    case .json: try readJSON(body)
    case .csv: try CSVReader.read(path, delimiter: UInt8(ascii: ","), body)
    case .tsv: try CSVReader.read(path, delimiter: UInt8(ascii: "\t"), body)
    case .txt, .md: try TextFileReader.read(path, body)
    }
  }

  private func readJSON(_ body: (RawRow) throws -> Void) throws {
    try JSONFileReader.read(path, isRow: { keys in DatasetFormat.all.contains { $0.recognises(keys) } }, body)
  }

  /// True for a file named `.jsonl` that is one JSON array.
  private func startsWithArray() throws -> Bool {
    var chunks = try FileChunks(path: path, chunkSize: 4096)
    let first = try chunks.next()?.first { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
    return first == UInt8(ascii: "[")
  }
}
