/// Draws samples from several sources by weight.
///
/// A source of n samples and weight w is an endless row of passes, each a permutation of its samples. Epoch e takes from it the elements
/// from round(e·w·n) to round((e + 1)·w·n). So weight 1 is every sample once an epoch, weight 0.25 uses all samples within four epochs, and no
/// sample is ever used twice more often than another of its source.
struct Mixture: Sendable {
  private let sources: [(samples: [Int], weight: Double)]

  /// - Parameter weights: one for each source that `sourceOfSample` names.
  init(sourceOfSample: [Int], weights: [Double]) {
    var samples = Array(repeating: [Int](), count: weights.count)
    for (index, source) in sourceOfSample.enumerated() { samples[source].append(index) }
    sources = Array(zip(samples, weights)).map { ($0, $1) }
  }

  /// True where every epoch draws the same number of samples.
  var isEven: Bool { sources.allSatisfy { $0.weight == $0.weight.rounded() } }

  /// The samples of an epoch, source by source.
  ///
  /// - Parameter permutation: the samples of a source in the order of a pass.
  func draw(epoch: Int, permutation: (_ samples: [Int], _ source: Int, _ pass: Int) -> [Int]) -> [Int] {
    var drawn: [Int] = []
    for (index, source) in sources.enumerated() where !source.samples.isEmpty {
      let size = source.samples.count
      let share = source.weight * Double(size)
      let end = Int((Double(epoch + 1) * share).rounded())
      var next = Int((Double(epoch) * share).rounded())
      while next < end {
        let pass = next / size
        let stop = min(end, (pass + 1) * size)
        drawn += permutation(source.samples, index, pass)[next - pass * size..<stop - pass * size]
        next = stop
      }
    }
    return drawn
  }
}
