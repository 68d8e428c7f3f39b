import Checkpoints
import TestSupport
import Testing
import Torch
import Training

/// Twenty steps of each optimizer against torch, transformers, bitsandbytes and galore-torch.
@Suite struct OptimizerReferenceTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let method: any OptimizerMethod
    var learningRate = 1e-2
    var testDescription: String { name }
  }

  static let galore = GaLore.Projection.allCases.map { kind in
    Case(
      name: "galore_\(kind.rawValue)",
      method: GaLore {
        ($0.rank, $0.updateGap, $0.scale, $0.projection) = (6, 8, 0.5, kind)
        ($0.targetModules, $0.weightDecay, $0.eps) = (["attn"], 0.1, 1e-6)
      })
  }

  static let exact = [
    Case(name: "adamw", method: AdamW { ($0.weightDecay, $0.eps) = (0.1, 1e-6) }),
    Case(name: "sgd", method: SGD { $0.weightDecay = 0.1 }),
    Case(name: "sgd_momentum", method: SGD { ($0.momentum, $0.dampening, $0.weightDecay) = (0.9, 0.25, 0.1) }),
    Case(name: "sgd_nesterov", method: SGD { ($0.momentum, $0.isNesterov) = (0.8, true) }),
    Case(name: "lion", method: Lion { $0.weightDecay = 0.1 }, learningRate: 1e-3),
    Case(name: "adafactor", method: Adafactor()),
    Case(
      name: "adafactor_relative", method: Adafactor { ($0.scalesParameter, $0.hasRelativeStep, $0.warmsUp) = (true, true, true) }),
    Case(
      name: "adafactor_mean",
      method: Adafactor {
        ($0.scalesParameter, $0.beta1, $0.weightDecay, $0.clipThreshold) = (true, 0.9, 0.1, 0.5)
        ($0.decayRate, $0.eps1, $0.eps2) = (-0.7, 1e-20, 1e-2)
      }),
  ]

  static let coded = [
    Case(name: "adamw_8bit", method: AdamW { ($0.weightDecay, $0.bits) = (0.1, .eight) }),
    Case(name: "lion_8bit", method: Lion { ($0.weightDecay, $0.bits) = (0.1, .eight) }, learningRate: 1e-3),
  ]

  /// The parameters of a golden after twenty steps of ours, and behind them what the optimizer remembers.
  private func run(_ test: Case, _ names: [String]) throws -> [(String, Tensor)] {
    let common = try GoldenTensors("optimizers/common.safetensors")
    let parameters = try names.map { (path: $0, value: try common["start.\($0)"].clone()) }
    let optimizer = try Optimizer(parameters, options: OptimizerOptions(test.method))
    let coefficients = try common["coefficients"].array(Double.self)
    for step in 0..<20 {
      for (name, value) in parameters {
        let first = try common["first.\(name)"] * coefficients[2 * step]
        try value.setGradient(first + common["second.\(name)"] * coefficients[2 * step + 1])
      }
      try optimizer.update(learningRate: test.learningRate)
    }
    return parameters.map { ($0.path, $0.value) } + optimizer.state.map { ($0.name, $0.value) }
  }

  private func names(_ file: String) throws -> (all: [String], parameters: [String]) {
    let all = try Goldens.tensors("optimizers/\(file).safetensors").names
    return (all, all.filter { name in ["attn.tall", "attn.wide", "vector", "large"].contains(name) })
  }

  @Test(arguments: exact) func twentySteps(_ test: Case) throws { try compare(test, within: 1e-6) }

  /// Singular vectors differ by the rounding of LAPACK's kernels, which are others for each instruction set.
  @Test(arguments: galore) func twentyStepsOfGaLore(_ test: Case) throws { try compare(test, within: 5e-4) }

  private func compare(_ test: Case, within tolerance: Double) throws {
    let (all, parameters) = try names(test.name)
    let golden = try GoldenTensors("optimizers/\(test.name).safetensors")
    var compared = 0
    for (name, value) in try run(test, parameters) where all.contains(name) {
      // The largest number gives the scale: each is a sum of twenty terms that may cancel.
      let expected = try golden[name]
      try assertClose(value, expected, relative: tolerance, absolute: tolerance * (try expected.abs().max().item()), name)
      compared += 1
    }
    #expect(compared == all.count && compared > 2)
  }

  /// The codes are bitsandbytes' to the byte.
  @Test(arguments: coded) func twentyStepsInEightBits(_ test: Case) throws {
    let (all, parameters) = try names(test.name)
    let found = try run(test, parameters)
    let golden = try GoldenTensors("optimizers/\(test.name).safetensors")
    #expect(Set(found.map(\.0)) == Set(all))
    for (name, value) in found {
      let expected = try golden[name]
      #expect(value.dtype == expected.dtype, "\(name)")
      if value.dtype == .uint8 {
        #expect(try value.isEqual(to: expected), "\(name)")
      } else {
        // A number as near to two values may have had the other one on the way, and moved a little otherwise.
        let allowed = parameters.contains(name) ? 2e-5 : 1e-6
        try assertClose(value, expected, relative: 1e-6, absolute: allowed * (try expected.abs().max().item()), name)
      }
    }
  }

  /// bitsandbytes' kernel for processors looks codes up in a table of even steps; its weights stay near.
  @Test func nearTheTableOfBitsandbytes() throws {
    let golden = try GoldenTensors("optimizers/adamw_8bit_table.safetensors")
    let (ours, theirs) = (try run(Self.coded[0], ["large"])[0].1, try golden["large"])
    let start = try GoldenTensors("optimizers/common.safetensors")["start.large"]
    let way = try Tensor.norm(of: [theirs - start])
    #expect(try Tensor.norm(of: [ours - theirs]) < 0.1 * way)
  }

  @Test(arguments: [("signed", true), ("unsigned", false)]) func maps(_ name: String, _ isSigned: Bool) throws {
    #expect(try BlockCodes.values(isSigned: isSigned).isEqual(to: try GoldenTensors("optimizers/maps.safetensors")[name]))
  }
}
