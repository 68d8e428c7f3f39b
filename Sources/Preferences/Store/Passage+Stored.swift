import Text

extension Passage {
  /// Reads what a store keeps.
  init(stored text: String) throws {
    do { try self.init(JSON(parsing: text)) } catch { throw PreferenceError("a text of the store is damaged: \(error)") }
  }
}
