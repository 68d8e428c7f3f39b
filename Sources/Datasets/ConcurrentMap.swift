import Dispatch

extension Array where Element: Sendable {
  /// The results of `transform` in the order of the elements, computed on every core.
  func concurrentMap<Result: Sendable>(_ transform: @Sendable (Element) -> Result) -> [Result] {
    let total = count
    return [Result](unsafeUninitializedCapacity: total) { buffer, initialized in
      // Every index is written by exactly one iteration, and all have ended before the buffer is used.
      nonisolated(unsafe) let slots = buffer
      self.withUnsafeBufferPointer { elements in
        nonisolated(unsafe) let elements = elements
        DispatchQueue.concurrentPerform(iterations: total) { index in
          slots.initializeElement(at: index, to: transform(elements[index]))
        }
      }
      initialized = total
    }
  }
}
