import Foundation
import NN
import TestSupport
import Testing
import Torch

/// Schedules against transformers'.
@Suite struct ScheduleTests {
  private struct Schedules: Decodable {
    struct Row: Decodable {
      let name: String
      let steps: Int
      let warmupSteps: Int
      let numCycles: Double?
      let rates: [Double]
    }
    let baseRate: Double
    let cases: [Row]
  }

  @Test func schedules() throws {
    let golden = try Goldens.decoded("layers/schedules.json", as: Schedules.self)
    let kinds: [String: Schedule.Kind] = [
      "constant": .constant, "constant_with_warmup": .constant, "linear": .linear, "cosine": .cosine,
    ]
    var compared = 0
    for row in golden.cases where row.numCycles ?? 0.5 == 0.5 {
      guard let kind = kinds[row.name] else { continue }
      let schedule = Schedule(kind, warmupSteps: row.warmupSteps, totalSteps: row.steps)
      let rates = (0...row.steps).map { golden.baseRate * schedule.factor(after: $0) }
      try assertClose(try Tensor(rates), row.rates, relative: 1e-12, absolute: 1e-17, "\(row.name), \(row.warmupSteps)")
      compared += 1
    }
    #expect(compared == 7)
  }

  @Test func schedulesWithoutSteps() {
    for kind in Schedule.Kind.allCases {
      for (warmup, total) in [(0, 0), (5, 5), (9, 3)] {
        for done in 0...10 { #expect(Schedule(kind, warmupSteps: warmup, totalSteps: total).factor(after: done).isFinite) }
      }
    }
  }
}
