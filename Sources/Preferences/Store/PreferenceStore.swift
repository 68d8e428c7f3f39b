import Foundation
import GRDB

/// Prompts, answers and what raters say of them, in one SQLite file.
///
/// Each verdict is in the file when the call that records it returns. Several programs may use a store at the same time: a write
/// waits up to ten seconds for another one.
public final class PreferenceStore: Sendable {
  /// The file; nil for one in memory.
  public let path: String?
  private let queue: DatabaseQueue

  /// Opens a store.
  ///
  /// - Parameters:
  ///   - path: the SQLite file.
  ///   - creating: make it where there is none.
  /// - Throws: ``PreferenceError`` where there is none and none is to be made, or it is something else, or a newer Attune's.
  public init(_ path: String, creating: Bool = true) throws(PreferenceError) {
    guard creating || FileManager.default.fileExists(atPath: path) else {
      throw PreferenceError("there is no preference store at \(path); `attune label --store` or `attune judge --store` makes one")
    }
    self.path = path
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    do { queue = try DatabaseQueue(path: path, configuration: configuration) } catch { throw Self.failure(error, path) }
    try prepare()
  }

  /// A store in memory.
  public init() throws(PreferenceError) {
    path = nil
    do { queue = try DatabaseQueue() } catch { throw Self.failure(error, nil) }
    try prepare()
  }

  /// Brings an empty or older file to the present tables.
  private func prepare() throws(PreferenceError) {
    let migrator = PreferenceSchema.migrator
    let name = path ?? "the store"
    try read { database in
      let identity = try Int64.fetchOne(database, sql: "PRAGMA application_id") ?? 0
      let tables = try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM sqlite_master") ?? 0
      guard identity == PreferenceSchema.applicationID || tables == 0 else {
        throw PreferenceError("\(name) is an SQLite file of something else; name another file for the preference store")
      }
      guard try !migrator.hasBeenSuperseded(database) else {
        throw PreferenceError("\(name) was made by a newer Attune; use that one, or name another file")
      }
    }
    do { try migrator.migrate(queue) } catch { throw Self.failure(error, path) }
  }

  /// Reads in one transaction.
  func read<Result>(_ body: (Database) throws -> Result) throws(PreferenceError) -> Result {
    do { return try queue.read(body) } catch { throw Self.failure(error, path) }
  }

  /// Writes in one transaction, which is on disk when this returns, or has left no trace.
  func write<Result>(_ body: (Database) throws -> Result) throws(PreferenceError) -> Result {
    do { return try queue.write(body) } catch { throw Self.failure(error, path) }
  }

  private static func failure(_ error: any Error, _ path: String?) -> PreferenceError {
    if let error = error as? PreferenceError { return error }
    guard let error = error as? DatabaseError else { return PreferenceError("\(path ?? "the store"): \(error)") }
    let reason =
      switch error.resultCode {
      case .SQLITE_NOTADB: "is no SQLite file; name another file for the preference store"
      case .SQLITE_CANTOPEN: "cannot be opened: is its folder there, and may it be written to?"
      case .SQLITE_BUSY, .SQLITE_LOCKED: "is in use by another program, which has held it for more than ten seconds"
      case .SQLITE_READONLY: "may only be read; make file and folder writable"
      case .SQLITE_FULL: "cannot be written: the disk is full"
      case .SQLITE_CORRUPT:
        "is damaged: \(error.message ?? "SQLite cannot read it"); `sqlite3 FILE .recover` may save what is in it"
      default: error.message ?? "\(error)"
      }
    return PreferenceError("\(path ?? "the store"): \(reason)")
  }
}
