import Checkpoints
import Foundation
import NN
import OrderedCollections
import TestSupport
import Testing
import Text
import Torch

@testable import Tuners

/// Adapters that AdapterHub's package wrote, against the logits it gives with them.
@Suite struct AdapterHubTests {
  static let single = [
    "pfeiffer", "pfeiffer-gpt2", "pfeiffer-mistral", "pfeiffer-qwen2", "houlsby", "houlsby-gpt2", "houlsby-qwen3", "parallel",
    "parallel-gpt2", "scaled-parallel", "channel-scaled", "compacter", "compacter-gpt2", "compacter-own-rules", "invertible",
  ]
  static let stacks = ["stack", "stack-gpt2", "invertible-stack"]
  static let fusions = ["fusion", "fusion-gpt2"]

  private func settings(_ name: String) throws -> (model: String, adapters: [String]) {
    let settings = try Goldens.json("adapterhub/\(name)/training.json")["settings"]
    return (
      try #require(settings?["model"]?.string), try #require(settings?["adapters"]?.array).compactMap(\.string)
    )
  }

  private func folder(_ name: String, _ adapter: String = "task") -> URL { Goldens.url("adapterhub/\(name)/\(adapter)") }

  /// The model with the adapters of a golden, one on top of another.
  private func open(_ name: String) throws -> (set: AdapterSet, expected: SafetensorsFile) {
    let (model, names) = try settings(name)
    let set = try AdapterSet(try TinyModels.load(model))
    if Self.fusions.contains(name) {
      try AdapterFolder.load(Goldens.url("adapterhub/\(name)"), into: set)
      return (set, try Goldens.tensors("adapterhub/\(name)/expected.safetensors"))
    }
    for adapter in names { try AdapterFolder.load(folder(name, adapter), into: set, named: adapter) }
    try set.activate(names)
    return (set, try Goldens.tensors("adapterhub/\(name)/expected.safetensors"))
  }

  private func logits(_ model: any CausalLM, _ expected: SafetensorsFile) throws -> Tensor {
    let ids = try expected.tensor("input_ids")
    let flat: [Int32] = try ids.array()
    let width = ids.shape[1]
    let rows = stride(from: 0, to: flat.count, by: width).map { Array(flat[$0..<$0 + width]) }
    return try withoutGradients { () throws in try model.logits(try ModelInput(rows: rows)) }
  }

  /// A copy of a golden's adapter with another text in the place of one in its settings.
  private func changed(_ name: String, _ old: String, _ new: String) throws -> TemporaryFolder {
    let copy = try TemporaryFolder()
    for file in [AdapterFolder.configName, AdapterHubFolder.weightsName] {
      try FileManager.default.copyItem(at: folder(name).appending(path: file), to: copy.url.appending(path: file))
    }
    let url = copy.url.appending(path: AdapterFolder.configName)
    let text = try String(contentsOf: url, encoding: .utf8)
    #expect(text.contains(old))
    try text.replacing(old, with: new).write(to: url, atomically: true, encoding: .utf8)
    return copy
  }

  private func load(_ url: URL, into model: String = "llama-tied") throws {
    try AdapterFolder.load(url, into: try AdapterSet(try TinyModels.load(model)))
  }

  @Test func everyGoldenIsRead() throws {
    let found = try FileManager.default.contentsOfDirectory(atPath: Goldens.url("adapterhub").path)
    #expect(Set(found) == Set(Self.single + Self.stacks + Self.fusions))
  }

  @Test(arguments: single + stacks + fusions) func givesTheReferencesLogits(_ name: String) throws {
    let (set, expected) = try open(name)
    #expect(try mismatch(try logits(set.model, expected), try expected.tensor("logits"), absolute: 1e-4) == nil)
    let base = try set.withAdaptersDisabled { try logits(set.model, expected) }
    #expect(try mismatch(base, try expected.tensor("base_logits"), absolute: 1e-4) == nil)
  }

  @Test(arguments: single + stacks) func writesWhatTheReferenceWrote(_ name: String) throws {
    let (set, expected) = try open(name)
    let again = try AdapterSet(try TinyModels.load(try settings(name).model))
    for adapter in set.adapters {
      let (source, copy) = (folder(name, adapter.name), try TemporaryFolder())
      try AdapterFolder.save(adapter, base: try settings(name).model, to: copy.url)
      let own = try SafetensorsFile(copy.url.appending(path: AdapterHubFolder.weightsName))
      let theirs = try SafetensorsFile(source.appending(path: AdapterHubFolder.weightsName))
      #expect(Set(own.names) == Set(theirs.names))
      for key in theirs.names { #expect(try own.tensor(key).isEqual(to: try theirs.tensor(key)), "\(key)") }
      let json = { (url: URL) in try JSON(parsing: Data(contentsOf: url.appending(path: AdapterFolder.configName))) }
      let (config, reference) = (try json(copy.url), try json(source))
      for key in ["name", "version", "model_name"] { #expect(config[key] == reference[key], "\(key)") }
      let (members, wanted) = (try #require(config["config"]?.object), try #require(reference["config"]?.object))
      #expect(Set(members.keys) == Set(wanted.keys))
      for (key, value) in wanted {
        #expect(members[key]?.text() == value.text() || members[key]?.double == value.double, "\(key)")
      }
      try AdapterFolder.load(copy.url, into: again, named: adapter.name)
    }
    try again.activate(set.adapters.map(\.name))
    #expect(try mismatch(try logits(again.model, expected), try expected.tensor("logits"), absolute: 1e-4) == nil)
  }

  @Test(arguments: fusions) func writesTheFusionThatTheReferenceWrote(_ name: String) throws {
    let (set, expected) = try open(name)
    let (source, copy) = (Goldens.url("adapterhub/\(name)"), try TemporaryFolder())
    let (model, names) = try settings(name)
    try AdapterFolder.save(try #require(set["default"]), base: model, to: copy.url)
    for file in [FusionFolder.weightsName] + names.map({ "\($0)/\(AdapterHubFolder.weightsName)" }) {
      let own = try SafetensorsFile(copy.url.appending(path: file))
      let theirs = try SafetensorsFile(source.appending(path: file))
      #expect(Set(own.names) == Set(theirs.names))
      for key in theirs.names { #expect(try own.tensor(key).isEqual(to: try theirs.tensor(key)), "\(key)") }
    }
    let json = { (url: URL) in try JSON(parsing: Data(contentsOf: url.appending(path: FusionFolder.configName))) }
    let (config, reference) = (try json(copy.url), try json(source))
    for (key, value) in try #require(config.object) where key != "config" { #expect(value == reference[key], "\(key)") }
    let members = try #require(config["config"]?.object)
    #expect(Set(members.keys) == Set(try #require(reference["config"]?.object).keys))
    for (key, value) in members { #expect(value.text() == reference["config"]?[key]?.text(), "\(key)") }
    let again = try AdapterSet(try TinyModels.load(model))
    try AdapterFolder.load(copy.url, into: again)
    #expect(try mismatch(try logits(again.model, expected), try expected.tensor("logits"), absolute: 1e-4) == nil)
  }

  @Test func fusionsOfWhatDoesNotGoTogetherAreRefused() throws {
    func problem(_ adapters: [String]) throws -> String {
      var settings = FusionConfiguration()
      settings.adapters = adapters.map { Goldens.url("adapterhub/\($0)").path }
      let set = try AdapterSet(try TinyModels.load("llama-tied"))
      do {
        try set.add(settings)
        return "it was taken"
      } catch {
        #expect(set.model.sublayerPlaces().allSatisfy { $0.place.installed.isEmpty })
        return "\(error)"
      }
    }
    #expect(try problem(["pfeiffer/task"]).contains("two at least"))
    #expect(try problem([]).contains("two at least"))
    #expect(try problem(["pfeiffer/task", "parallel/task"]).contains("cannot be part of a fusion"))
    #expect(try problem(["pfeiffer/task", "invertible/task"]).contains("cannot be part of a fusion"))
    #expect(try problem(["stack/task", "houlsby/task"]).contains("different places"))
    #expect(try problem(["stack/task", "nowhere"]).contains("holds no adapter_config.json"))
    #expect(try problem(["stack/task", "stack/task"]) == "it was taken")
  }

  @Test func aFusionWithoutItsAdaptersIsRefused() throws {
    let copy = try TemporaryFolder()
    for file in [FusionFolder.configName, FusionFolder.weightsName] {
      try FileManager.default.copyItem(
        at: Goldens.url("adapterhub/fusion/\(file)"), to: copy.url.appending(path: file))
    }
    #expect { try load(copy.url) } throws: { "\($0)".contains("“adapter0” is not in it") }
  }

  /// The package takes a whole 4 for a mistake.
  @Test func scalesAreWrittenAsDecimals() throws {
    let set = try AdapterSet(try TinyModels.load("llama-tied"))
    let folder = try TemporaryFolder()
    try AdapterFolder.save(try set.add(BottleneckConfiguration.parallel), base: "base", to: folder.url)
    let text = try String(contentsOf: folder.url.appending(path: AdapterFolder.configName), encoding: .utf8)
    #expect(text.contains(#""scaling": 4.0"#))
  }

  @Test func whatIsNotAtWorkCostsNothingAndIsGoneWhenRemoved() throws {
    let (set, expected) = try open("houlsby")
    let places = set.model.sublayerPlaces()
    #expect(places.count == 4 && places.allSatisfy { $0.place.active == ["task"] })
    try set.activate([])
    #expect(places.allSatisfy { $0.place.active.isEmpty })
    try set.remove("task")
    #expect(places.allSatisfy { $0.place.installed.isEmpty })
    #expect(try mismatch(try logits(set.model, expected), try expected.tensor("base_logits"), absolute: 1e-4) == nil)
  }

  /// With a weight w its change is added w times, layer by layer.
  @Test func adaptersTakePartWithWeights() throws {
    let (set, expected) = try open("houlsby")
    let at = { (weight: Double) in
      try set.activate(uses: [AdapterUse("task", weight: weight)])
      return try logits(set.model, expected)
    }
    #expect(try mismatch(try at(0), try expected.tensor("base_logits"), absolute: 1e-4) == nil)
    #expect(try mismatch(try at(1), try expected.tensor("logits"), absolute: 1e-4) == nil)
    let half = try at(0.5)
    for key in ["base_logits", "logits"] { #expect(try mismatch(half, try expected.tensor(key), absolute: 1e-2) != nil) }
    #expect(try mismatch(try at(1), try expected.tensor("logits"), absolute: 1e-4) == nil)
    // What stands before the first layer has no half.
    let whole = try open("invertible").set
    #expect { try whole.activate(uses: [AdapterUse("task", weight: 0.5)]) } throws: { "\($0)".contains("use it with 1") }
  }

  /// Rows of one batch, each with adapters of its own.
  @Test func rowsHaveTheAdaptersOfTheirRequests() throws {
    let set = try AdapterSet(try TinyModels.load("llama-tied"))
    for (name, path) in [("a", "stack/adapter0"), ("b", "parallel/task"), ("fusion", "fusion")] {
      try AdapterFolder.load(Goldens.url("adapterhub/\(path)"), into: set, named: name)
    }
    let rows: [[Int32]] = [[3, 5, 7, 9], [4, 6, 8, 10], [3, 5, 7, 9], [11, 12, 13, 14], [20, 21, 22, 23]]
    let requests: [[AdapterUse]] = [
      [AdapterUse("b")], [], [AdapterUse("fusion")], [AdapterUse("a", weight: 0.5), AdapterUse("b")], [AdapterUse("b")],
    ]
    let logits = { (rows: [[Int32]]) in try withoutGradients { () throws in try set.model.logits(try ModelInput(rows: rows)) } }
    var expected: [Tensor] = []
    for (row, uses) in zip(rows, requests) {
      try set.activate(uses: uses)
      expected.append(try logits([row]))
    }
    let together = try set.routing(requests) { routing in
      routing.route(requests.indices.map { ($0, 4) })
      return try logits(rows)
    }
    #expect(try mismatch(together, try .concatenated(expected, 0), absolute: 1e-4) == nil)
    #expect(set.active == ["b"] && set.model.sublayerPlaces().allSatisfy { $0.place.routing == nil })
  }

  @Test func mergingIsRefusedWithAdvice() throws {
    let (set, expected) = try open("pfeiffer")
    #expect { try set.mergeAndUnload() } throws: { "\($0)".contains("keep it beside the model and load it with --adapter") }
    #expect(try mismatch(try logits(set.model, expected), try expected.tensor("logits"), absolute: 1e-4) == nil)
  }

  @Test func picklesAreRefusedWithAdvice() throws {
    let copy = try changed("pfeiffer", "task", "task")
    let names = [AdapterHubFolder.weightsName, AdapterHubFolder.pickle.0]
    try FileManager.default.moveItem(at: copy.url.appending(path: names[0]), to: copy.url.appending(path: names[1]))
    #expect { try load(copy.url) } throws: { "\($0)".contains("use_safetensors=True") }
  }

  @Test(arguments: [
    (#""use_gating": false"#, #""use_gating": true"#, "use_gating"), (#""ln_before": false"#, #""ln_before": true"#, "ln_before"),
    (#""original_ln_after": true"#, #""original_ln_after": false"#, "original_ln_after"),
    (#""non_linearity": "relu""#, #""non_linearity": "selu""#, "non_linearity"),
    (#""reduction_factor": 16"#, #""reduction_factor": 0"#, "reduction_factor"),
    (#""reduction_factor": 16"#, #""reduction_factor": 2"#, "[16, 32]"), (#""leave_out": []"#, #""leave_out": [7]"#, "leave_out"),
    (#""leave_out": []"#, #""leave_out": [1]"#, "nothing takes"), (#""phm_layer": false"#, #""phm_layer": true"#, "phm_dim"),
    (#""cross_adapter""#, #""architecture": "lora", "cross_adapter""#, "architecture"),
  ]) func settingsThatCannotBeAppliedAreRefused(_ change: (old: String, new: String, problem: String)) throws {
    let copy = try changed("pfeiffer", change.old, change.new)
    let set = try AdapterSet(try TinyModels.load("llama-tied"))
    #expect { try AdapterFolder.load(copy.url, into: set) } throws: { "\($0)".contains(change.problem) }
    #expect(set.adapters.isEmpty && set.model.sublayerPlaces().allSatisfy { $0.place.installed.isEmpty })
  }

  @Test func adaptersOfOtherModelsAreRefused() throws {
    #expect { try load(folder("pfeiffer-gpt2")) } throws: { "\($0)".contains("does not fit") }
  }

  /// Before there was a version, `gelu` was what `gelu_new` is; a whole configuration could be one name.
  @Test func oldFilesAreRead() throws {
    let old = try changed("pfeiffer", #""version": "adapters.1.3.0""#, #""seen": 1"#)
    let settings = try #require(try AdapterFolder.configuration(old.url) as? BottleneckConfiguration)
    #expect(settings.activation == .relu)
    let text =
      #"{"config": {"mh_adapter": true, "output_adapter": true, "non_linearity": "gelu", "reduction_factor": 8}, "name": "a"}"#
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: AdapterFolder.configName)
    try Data(text.utf8).write(to: url)
    let read = try #require(try AdapterFolder.configuration(folder.url) as? BottleneckConfiguration)
    #expect(read.activation == .geluNew && read.reductionFactor == 8 && read.variant == "houlsby")
    try Data(#"{"config": "houlsby", "name": "a"}"#.utf8).write(to: url)
    #expect(try AdapterFolder.configuration(folder.url) as? BottleneckConfiguration == .houlsby)
  }

  @Test func aHeadOtherThanTheModelsIsRefused() throws {
    let copy = try changed("pfeiffer", "task", "task")
    let head = try TinyModels.load("llama-tied").head.denseWeight()
    let url = copy.url.appending(path: "model_head.safetensors")
    try Safetensors.write([("lm_head.weight", head)], to: url)
    try load(copy.url)
    try Safetensors.write([("lm_head.weight", try head * 2)], to: url)
    #expect { try load(copy.url) } throws: { "\($0)".contains("with_head=False") }
  }
}
