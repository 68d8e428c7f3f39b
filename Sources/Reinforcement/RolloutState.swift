import Checkpoints
import Datasets
import Foundation
import Objectives
import Training

/// Where a source of rollouts stands: what a checkpoint's `rollouts.json` holds.
struct RolloutState {
  private static let fileName = "rollouts.json"

  /// Rounds drawn.
  private(set) var rounds = 0
  /// Answers drawn: the number of the next stream of random numbers.
  var drawn: UInt64 = 0
  /// How strongly the policy is held to the reference.
  var control: DivergenceControl
  /// How far the round at hand is used up.
  var plan = RoundPlan(samples: 0, batchSize: 1, iterations: 1)
  /// The round at hand.
  private(set) var samples: [EncodedSample] = []

  init(control: DivergenceControl) { self.control = control }

  /// Begins with a new round.
  mutating func begin(_ samples: [EncodedSample], _ settings: RolloutSettings) {
    rounds += 1
    self.samples = samples
    let size = settings.estimator == .pairs ? 2 * settings.batchSize : settings.batchSize
    plan = RoundPlan(samples: samples.count, batchSize: size, iterations: settings.iterations)
  }

  /// A sample as a file holds it.
  private struct StoredSample: Codable {
    var ids: [Int32]
    var trained: [Bool]
    var location: SourceLocation
    var index: Int
    var rank: Int
    var reference: Double?
    var experience: Experience?

    init(_ sample: EncodedSample) {
      (ids, trained, location) = (sample.ids, sample.trained, sample.location)
      (index, rank, reference, experience) = (sample.index, sample.rank, sample.reference, sample.experience)
    }

    var sample: EncodedSample {
      var sample = EncodedSample(ids: ids, trained: trained, location: location, index: index, rank: rank)
      (sample.reference, sample.experience) = (reference, experience)
      return sample
    }
  }

  private struct Stored: Codable {
    var rounds: Int
    var drawn: UInt64
    var control: DivergenceControl
    var plan: RoundPlan
    var samples: [StoredSample]
  }

  func write(to folder: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let stored = Stored(rounds: rounds, drawn: drawn, control: control, plan: plan, samples: samples.map(StoredSample.init))
    try AtomicFile.write(Array(try encoder.encode(stored)), to: folder.appending(path: Self.fileName))
  }

  /// - Throws: `TrainingError` where the folder holds none, or one of another version.
  init(readingFrom folder: URL) throws {
    let url = folder.appending(path: Self.fileName)
    let stored: Stored
    do {
      stored = try JSONDecoder().decode(Stored.self, from: try Data(contentsOf: url))
    } catch {
      throw TrainingError("\(url.path) cannot be read, or is not one of this version: \(error)")
    }
    guard stored.samples.allSatisfy({ $0.ids.count == $0.trained.count }), stored.plan.samples == stored.samples.count else {
      throw TrainingError("\(url.path) contradicts itself: it is damaged")
    }
    self.init(control: stored.control)
    (rounds, drawn, plan, samples) = (stored.rounds, stored.drawn, stored.plan, stored.samples.map(\.sample))
  }
}
