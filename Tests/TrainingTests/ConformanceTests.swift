import Datasets
import Foundation
import NN
import TestSupport
import Testing
import Torch
import Training
import Tuners

/// Methods × behaviours on tiny models. The table is printed; a cell that fails says how.
@Suite struct ConformanceTests {
  @Test func everyMethodBehaves() throws {
    var lines: [String] = []
    var failures: [String] = []
    for row in MethodRow.all {
      var cells: [String] = []
      for behaviour in Behaviour.allCases {
        if row.exceptions[behaviour] != nil {
          cells.append("–")
          continue
        }
        let problem: String?
        do { problem = try MethodTrial(row).problem(behaviour) } catch { problem = "\(error)" }
        cells.append(problem == nil ? "✓" : "✗")
        if let problem { failures.append("\(row.name), \(behaviour.rawValue): \(problem)") }
      }
      lines.append("| \(row.name) | \(cells.joined(separator: " | ")) |")
    }
    let heads = Behaviour.allCases.map(\.rawValue)
    print("| method | \(heads.joined(separator: " | ")) |\n|---|\(heads.map { _ in "---|" }.joined())")
    print(lines.joined(separator: "\n"))
    for row in MethodRow.all {
      for (behaviour, reason) in row.exceptions { print("– \(row.name), \(behaviour.rawValue): \(reason)") }
    }
    #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
  }

  /// A method without a row would be tried by nothing.
  @Test func everyMethodHasARow() {
    let rows = Set(MethodRow.all.map { $0.settings.name })
    for name in Methods.names { #expect(Methods.make(name).map { rows.contains($0.name) } == true, "\(name)") }
  }
}
