/// Turns one piece of a text into token ids.
protocol WordModel: Sendable {
  var tokens: TokenTable { get }

  /// Appends the ids of `word`, which is well-formed UTF-8 and not empty.
  func encode(_ word: UnsafeBufferPointer<UInt8>, into ids: inout [Int32], queue: inout MergeQueue)
}
