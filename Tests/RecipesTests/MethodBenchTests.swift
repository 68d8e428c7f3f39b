import Foundation
import TestSupport
import Testing
import Torch
import Tuners

@testable import Recipes

/// What of measuring methods can be tested without time.
@Suite struct MethodBenchTests {
  private let folder: TemporaryFolder
  private let options = ModelOptions(dtype: .float32, device: .cpu)

  init() throws { folder = try TemporaryFolder() }

  @Test func everyMethodHasItsTurnAndLeavesTheModelAsItWas() throws {
    let model = try TinyModels.folder("llama-tied", in: folder, contextLength: 128)
    var bench = MethodBench()
    (bench.rounds, bench.length, bench.batchSize) = (2, 8, 2)
    var loaded: [ModelWeights] = []
    var seen: [String] = []
    // Of a tiny model's 32 features a bottleneck leaves more.
    let methods = MethodBench.standard.map { $0 == "{type: compacter}" ? "{type: compacter, reduction_factor: 4}" : $0 }
    let result = try bench.run(
      methods,
      load: {
        loaded.append(try ModelWeights(model, options: options))
        return loaded[loaded.count - 1]
      }, name: "tiny", scratch: folder.url, observe: { seen.append($0.method) })
    #expect(result.methods.map(\.method) == methods && seen == methods)
    #expect(result.dtype == "f32" && result.batchSize == 2 && result.length == 8)
    for method in result.methods {
      #expect(method.seconds.count == 2 && method.otherSeconds.count == 2 && method.trainableParameters > 0, "\(method.method)")
      #expect(method.ratios[0] == method.seconds[0] / method.otherSeconds[0])
    }
    // One model for all adapters, and one that full tuning takes the place of.
    #expect(loaded.count == 2 && loaded[0].adapters.adapters.map(\.name) == ["beside"])
  }

  @Test func whatIsNoMethodIsRefusedBeforeAnythingIsLoaded() throws {
    struct Loaded: Error {}
    for (method, words) in [
      ("lorra", "lora"), ("{type: lora, rr: 3}", "rr"), ("{type: lora", "YAML"), ("{type: dora, r: 0}", "r"),
    ] {
      #expect {
        _ = try MethodBench().run([method], load: { throw Loaded() }, name: "m", scratch: folder.url)
      } throws: {
        $0 is RecipeError && "\($0)".contains(words)
      }
    }
  }
}
