import GRDB

/// The tables of a store, and how older ones become the present ones.
enum PreferenceSchema {
  /// What tells a store from other SQLite files: “Attu” in the file's header.
  static let applicationID: Int64 = 0x4174_7475

  /// Every step from an empty file on. A step that was released is never changed.
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1: pairs and verdicts") { database in
      try database.execute(sql: "PRAGMA application_id = \(applicationID)")
      try database.execute(sql: first)
    }
    return migrator
  }

  private static let first = """
    CREATE TABLE prompts (
      id INTEGER PRIMARY KEY,
      digest TEXT NOT NULL UNIQUE,
      content TEXT NOT NULL,
      tools TEXT
    ) STRICT;
    CREATE TABLE answers (
      id INTEGER PRIMARY KEY,
      prompt INTEGER NOT NULL REFERENCES prompts (id) ON DELETE CASCADE,
      digest TEXT NOT NULL,
      content TEXT NOT NULL,
      UNIQUE (prompt, digest)
    ) STRICT;
    CREATE TABLE pairs (
      id INTEGER PRIMARY KEY,
      prompt INTEGER NOT NULL REFERENCES prompts (id) ON DELETE CASCADE,
      a INTEGER NOT NULL REFERENCES answers (id) ON DELETE CASCADE,
      b INTEGER NOT NULL REFERENCES answers (id) ON DELETE CASCADE,
      source TEXT,
      added_at TEXT NOT NULL,
      UNIQUE (a, b)
    ) STRICT;
    CREATE TABLE raters (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      kind TEXT NOT NULL CHECK (kind IN ('person', 'judge', 'data')),
      model TEXT,
      rubric TEXT,
      combination TEXT NOT NULL CHECK (combination IN ('newest', 'agreement', 'mean')),
      margin REAL
    ) STRICT;
    CREATE TABLE verdicts (
      id INTEGER PRIMARY KEY,
      pair INTEGER NOT NULL REFERENCES pairs (id) ON DELETE CASCADE,
      rater INTEGER NOT NULL REFERENCES raters (id) ON DELETE CASCADE,
      shown TEXT NOT NULL CHECK (shown IN ('ab', 'ba')),
      choice TEXT NOT NULL CHECK (choice IN ('a', 'b', 'tie', 'skip')),
      probability REAL CHECK (probability BETWEEN 0 AND 1),
      reason TEXT,
      decided_at TEXT NOT NULL,
      UNIQUE (pair, rater, shown)
    ) STRICT;
    CREATE INDEX verdicts_by_rater ON verdicts (rater, id);
    CREATE TABLE failures (
      id INTEGER PRIMARY KEY,
      pair INTEGER NOT NULL REFERENCES pairs (id) ON DELETE CASCADE,
      rater INTEGER NOT NULL REFERENCES raters (id) ON DELETE CASCADE,
      shown TEXT NOT NULL CHECK (shown IN ('ab', 'ba')),
      problem TEXT NOT NULL,
      failed_at TEXT NOT NULL,
      UNIQUE (pair, rater, shown)
    ) STRICT;
    """
}
