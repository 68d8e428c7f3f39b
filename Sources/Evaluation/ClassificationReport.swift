/// How well items were classified.
public struct ClassificationReport: Sendable, Hashable, Codable {
  /// One class.
  public struct ClassScore: Sendable, Hashable, Codable {
    /// Its name.
    public let label: String
    /// Items of this class.
    public let support: Int
    /// Items rightly given this class / items given this class; 0 where none was given it.
    public let precision: Double
    /// Items rightly given this class / items of this class; 0 where there are none.
    public let recall: Double
    /// 2·precision·recall/(precision + recall); 0 where both are.
    public let f1: Double
  }

  /// Share of items given the right class.
  public let accuracy: Proportion
  /// Each class.
  public let classes: [ClassScore]
  /// Mean F1 of the classes.
  public let macroF1: Double
  /// Items by class (row) and by the class they were given (column).
  public let confusion: [[Int]]
  /// Mean of −ln p(right answer), in nats.
  public let meanLoss: Double

  /// The report of a run.
  ///
  /// - Parameters:
  ///   - labels: the names of the classes.
  ///   - truths: the class of each item, an index into `labels`.
  ///   - predictions: the class each was given.
  ///   - losses: −ln p(right answer) of each.
  /// - Throws: ``EvaluationError`` where there are no items, the lists differ in length, or an index has no label.
  public init(labels: [String], truths: [Int], predictions: [Int], losses: [Double]) throws(EvaluationError) {
    guard !truths.isEmpty else { throw EvaluationError("there are no items to classify") }
    guard truths.count == predictions.count, truths.count == losses.count else {
      throw EvaluationError("\(truths.count) items have \(predictions.count) predictions and \(losses.count) losses")
    }
    var confusion = Array(repeating: Array(repeating: 0, count: labels.count), count: labels.count)
    for (item, (truth, prediction)) in zip(truths, predictions).enumerated() {
      guard labels.indices.contains(truth), labels.indices.contains(prediction) else {
        throw EvaluationError("item \(item): class \(truth) or \(prediction) is none of the \(labels.count) labels")
      }
      confusion[truth][prediction] += 1
    }
    self.confusion = confusion
    accuracy = Proportion(labels.indices.map { confusion[$0][$0] }.reduce(0, +), of: truths.count)
    classes = labels.indices.map { Self.score(of: $0, labels[$0], in: confusion) }
    macroF1 = classes.map(\.f1).reduce(0, +) / Double(classes.count)
    meanLoss = losses.reduce(0, +) / Double(losses.count)
  }

  private static func score(of index: Int, _ label: String, in confusion: [[Int]]) -> ClassScore {
    let right = Double(confusion[index][index])
    let support = confusion[index].reduce(0, +)
    let given = confusion.map { $0[index] }.reduce(0, +)
    let precision = given > 0 ? right / Double(given) : 0
    let recall = support > 0 ? right / Double(support) : 0
    let f1 = right > 0 ? 2 * precision * recall / (precision + recall) : 0
    return ClassScore(label: label, support: support, precision: precision, recall: recall, f1: f1)
  }
}
