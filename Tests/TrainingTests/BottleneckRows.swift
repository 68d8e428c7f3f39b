import Foundation
import TestSupport

@testable import Tuners

extension MethodRow {
  /// The methods that put bottlenecks behind parts of a layer.
  static var bottlenecks: [MethodRow] {
    let weights = "no weights can bend what passes, which is refused"
    let merging: [Behaviour: String] = [.merge: weights, .unmerge: weights]
    let near = "its weights begin as small random numbers, as AdapterHub's do"
    func row(
      _ name: String, _ settings: BottleneckConfiguration, startsAsBase: Bool = false, inner: Double = 4, rate: Double = 1e-2
    ) -> MethodRow {
      MethodRow(
        name: name, settings: settings.changed { $0.reductionFactor = 32 / inner },
        exceptions: startsAsBase ? merging : merging.merging([.identity: near]) { $1 }, rate: rate)
    }
    let shared = BottleneckConfiguration.compacter(plusPlus: false)
    let own = BottleneckConfiguration.compacter(plusPlus: true).changed {
      var maps = HypercomplexSettings()
      (maps.sharesRules, maps.factorsRules, maps.dimension) = (false, true, 2)
      $0.hypercomplex = maps
    }
    return [
      row("houlsby", .houlsby), row("pfeiffer", BottleneckConfiguration()),
      row("pfeiffer (zero)", BottleneckConfiguration().changed { ($0.start, $0.dropout) = (.zeroUp, 0.1) }, startsAsBase: true),
      row("parallel", .parallel, startsAsBase: true, inner: 16),
      row("parallel (scaled)", .parallel.changed { $0.scaling = .channel }, startsAsBase: true, inner: 16),
      row("compacter", shared, inner: 8), row("compacter++ (own rules)", own, inner: 8, rate: 5e-2),
      row("pfeiffer (invertible)", BottleneckConfiguration().changed { $0.isInvertible = true }), fusion(merging),
    ]
  }

  /// A fusion of trained adapters, which are those of one model.
  private static func fusion(_ merging: [Behaviour: String]) -> MethodRow {
    var settings = FusionConfiguration()
    settings.adapters = ["stack/adapter0", "stack/task"].map { Goldens.url("adapterhub/\($0)").path }
    return MethodRow(
      name: "fusion", settings: settings,
      exceptions: merging.merging([
        .identity: "the adapters it mixes are trained",
        .gradients: "a bias of keys adds the same to every score, which changes no share",
      ]) { $1 }, models: ["llama-tied"])
  }
}
