import ArgumentParser

/// An adapter with the weight it takes part with: `runs/tone` or `runs/tone=0.7`.
struct WeightedAdapter: ExpressibleByArgument {
  /// The folder.
  let folder: String
  /// The weight, a finite number; 1 where none is given.
  let weight: Double

  init?(argument: String) {
    guard !argument.isEmpty else { return nil }
    // A folder's name may hold “=” too: what follows the last one is a weight only where it is a number.
    if let sign = argument.lastIndex(of: "="), sign > argument.startIndex,
      let weight = Double(argument[argument.index(after: sign)...]), weight.isFinite
    {
      (folder, self.weight) = (String(argument[..<sign]), weight)
    } else {
      (folder, weight) = (argument, 1)
    }
  }

  var defaultValueDescription: String { folder }
}
