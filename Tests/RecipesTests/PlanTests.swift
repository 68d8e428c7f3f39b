import Checkpoints
import Datasets
import Foundation
import NN
import TestSupport
import Testing
import Text
import Torch
import Training
import Tuners

@testable import Recipes

/// Plans: what is told before anything is loaded is what is there afterwards.
@Suite(.serialized) struct PlanTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func recipe(
    _ method: String = "lora", model: String = "llama-tied", train: String = "batch_size: 4, max_steps: 2", more: String = ""
  ) throws -> Recipe {
    let base = folder.url.appending(path: model)
    if !FileManager.default.fileExists(atPath: base.path) { _ = try TinyModels.folder(model, in: folder) }
    let rows = (0..<8).map { #"{"prompt": "a b c\#(String(repeating: " d", count: $0))", "completion": " e f g"}"# }
    let data = try folder.write(rows.joined(separator: "\n") + "\n", to: "data.jsonl")
    return try Recipe(
      """
      model: \(base.path)
      method: \(method)
      data: {train: \(data), cache: false, max_length: 64}
      train: {\(train.contains("device") ? train : train + ", device: cpu"), dtype: f32}
      output: \(folder.path("run"))
      \(more)
      """)
  }

  /// Paths and shapes of what a method trains, with a model and without its numbers, and what is remembered of it.
  private static let methods = Methods.names.filter { $0 != "fusion" }

  private func settings(_ name: String) -> String {
    switch name {
    case "trainable_tokens": "{type: trainable_tokens, token_indices: [3, 5]}"
    case "bitfit": "{type: full, trainable: [norms]}"
    case "compacter", "compacter++": "{type: \(name), reduction_factor: 4}"
    default: name
    }
  }

  @Test(arguments: methods) func whatIsPlannedIsWhatIsTrained(_ name: String) throws {
    let recipe = try recipe(settings(name))
    let run = TuneRun(recipe)
    let plan = try run.plan(try run.encode(), available: 1 << 40)
    let model = try LoadedModel(recipe.model, options: recipe.train.model)
    var method = recipe.method.settings
    method.prepare(tokenizer: model.text.tokenizer, of: recipe.model)
    let adapter = try model.adapters.add(method)
    try adapter.setTrainable(true)
    let counts = model.model.parameterCount()
    #expect(plan.parameters == counts.total && plan.trainableParameters == counts.trainable)
    let optimizer = try Optimizer(adapter.parameters)
    let shapes = adapter.parameters.map { ($0.path, $0.value.shape) }
    #expect(Optimizer.memory(of: shapes, AdamW()).all == optimizer.memoryByteCount)
    // Pieces of memory are rounded up to cache lines and to what the C library hands out.
    let tuned = adapter.parameters.reduce(0) { $0 + $1.value.byteCount }
    #expect(plan.memory.optimizer >= optimizer.memoryByteCount)
    #expect(plan.memory.optimizer <= optimizer.memoryByteCount + 160 * adapter.parameters.count * 2, "\(name)")
    #expect(plan.memory.gradients <= tuned + 160 * adapter.parameters.count)
    #expect(plan.memory.peak > plan.memory.process && plan.memory.activations > 0)
    #expect(plan.memory.parts.reduce(0) { $0 + $1.bytes } == plan.memory.peak || plan.memory.loading == plan.memory.peak)
  }

  @Test(arguments: ["gpt2", "llama-bias", "mistral", "qwen2", "qwen3"]) func everyArchitecture(_ model: String) throws {
    for checkpointing in ["none", "selective", "full"] {
      let run = TuneRun(
        try recipe("full", model: model, train: "batch_size: 2, max_steps: 1, gradient_checkpointing: \(checkpointing)"))
      let plan = try run.plan(nil, available: 1 << 40)
      #expect(plan.trainableParameters == plan.parameters && plan.largestBatch.isAssumed)
      #expect(plan.memory.adapters >= 4 * plan.parameters && plan.memory.optimizer >= 8 * plan.parameters)
      #expect(plan.memory.activations + plan.memory.gradients > 0 && plan.memory.weights.isEmpty)
    }
  }

  @Test(arguments: ["dpo", "simpo", "orpo", "{type: dpo, loss_type: [ipo, robust, exo_pair], label_smoothing: 0.1}"])
  func everyObjective(_ objective: String) throws {
    let pairs = (0..<6).map { #"{"prompt": "a b \#($0)", "chosen": " c d", "rejected": " x"}"# }
    let data = try folder.write(pairs.joined(separator: "\n") + "\n", to: "pairs.jsonl")
    var recipe = try recipe(more: "objective: \(objective)")
    recipe.data.train = [DataSource(path: data)]
    let run = TuneRun(recipe)
    for memory in [try run.plan(try run.encode()).memory, try run.plan(nil).memory] {
      #expect(memory.activations + memory.head + memory.work > 0 && memory.peak > memory.process)
    }
  }

  @Test(arguments: ["lora", "{type: dora, dropout: 0.1}", "prefix_tuning", "full"], ["gpt2", "llama-tied"])
  func onAGPU(_ method: String, _ model: String) throws {
    let (cpu, gpu) = (
      try recipe(method, model: model), try recipe(method, model: model, train: "batch_size: 4, max_steps: 2, device: cuda")
    )
    let (there, here) = (try TuneRun(gpu).plan(nil), try TuneRun(cpu).plan(nil))
    #expect(there.device == "cuda:0" && there.memory.available == nil && there.trainableParameters == here.trainableParameters)
    #expect(there.memory.activations * 100 >= here.memory.activations * 99)
  }

  @Test func weightsByHowTheyAreStored() throws {
    let dense = try TuneRun(try recipe()).plan(nil).memory.weights
    let model = try LoadedModel(try recipe().model, options: ModelOptions(dtype: .float32, device: .cpu)).model
    #expect(dense == [PlannedMemory.Part(name: "float32", bytes: 4 * model.parameterCount().total)])
    let recipe = try recipe(more: "quantization: nf4")
    let packed = try TuneRun(recipe).plan(nil).memory.weights
    let loaded = try LoadedModel(recipe.model, options: recipe.train.model).model
    let bytes = loaded.projections().reduce(0) { $0 + (($1.slot.value as? QuantizedLinear)?.packed.byteCount ?? 0) }
    #expect(packed.first { $0.name == "nf4" }?.bytes == bytes && bytes > 0)
    #expect(packed.first { $0.name == "float32" }?.bytes == loaded.parameters().dropLast().reduce(0) { $0 + $1.value.byteCount })
  }

  @Test func largerBatchesAndLessCheckpointingTakeMore() throws {
    func activations(_ train: String) throws -> Int { try TuneRun(try recipe(train: train)).plan(nil).memory.activations }
    let one = try activations("batch_size: 8, max_steps: 1")
    #expect(try activations("batch_size: 16, max_steps: 1") > one * 3 / 2)
    let selective = try activations("batch_size: 8, max_steps: 1, gradient_checkpointing: selective")
    let full = try activations("batch_size: 8, max_steps: 1, gradient_checkpointing: full")
    #expect(full < selective && selective < one)
  }

  /// Nothing is different with a plan and a step that is tried.
  @Test(arguments: [
    ("{type: lora, dropout: 0.3}", "batch_size: 2, max_steps: 3"),
    ("full", "batch_size: 2, max_steps: 3, max_grad_norm: 0, optimizer: {type: adafactor, in_backward: true}"),
    ("{type: adalora, init_r: 4, target_r: 2}", "batch_size: 2, max_steps: 3, gradient_checkpointing: selective"),
  ])
  func aTriedStepChangesNothing(_ method: String, _ train: String) throws {
    func bytes(_ check: MemoryCheck) throws -> [Data] {
      var recipe = try recipe(method, train: train)
      recipe.output = folder.path("run-\(check)-\(UUID().uuidString)")
      let run = TuneRun(recipe)
      run.memoryCheck = check
      let result = try run.run()
      #expect((result.plan.memory != nil) == (check != .none))
      let files = try FileManager.default.contentsOfDirectory(at: result.folder, includingPropertiesForKeys: nil)
      return try files.filter { $0.pathExtension == "safetensors" }.sorted { $0.path < $1.path }.map { try Data(contentsOf: $0) }
    }
    let (with, without) = (try bytes(.refuse), try bytes(.none))
    #expect(with == without && !with.isEmpty)
  }

  @Test func whatDoesNotFitIsRefusedWithWhatToChange() throws {
    let run = TuneRun(try recipe(train: "batch_size: 256, max_steps: 1"))
    let whole = try run.plan(nil, available: 1 << 40)
    let short = try run.plan(nil, available: whole.memory.peak - whole.memory.activations / 3)
    #expect(whole.fits && !short.fits)
    let changes = try run.fit(short, nil, in: PlanContext(run, available: short.memory.available)).changes()
    #expect(changes.first?.settings.first == "train.batch_size=128")
    #expect(changes.contains { $0.settings == ["train.gradient_checkpointing={type: selective, every: 1}"] })
    #expect(changes.allSatisfy { $0.saving > 0 && $0.peak + $0.saving == short.memory.peak })
    let text = short.refusal(changes)
    #expect(text.contains("--set 'train.batch_size=128' --set 'train.gradient_accumulation=2'") && text.contains("--fit"))
  }

  @Test func aFittedRecipeFitsAndKeepsItsSteps() throws {
    let run = TuneRun(try recipe(train: "batch_size: 256, max_steps: 1"))
    let whole = try run.plan(nil, available: 1 << 40)
    let short = try run.plan(nil, available: whole.memory.peak - whole.memory.activations / 3)
    let fitted = try run.fit(short, nil, in: PlanContext(run, available: short.memory.available)).fitted()
    #expect(fitted.plan.fits && fitted.recipe.train.batchSize < 256)
    #expect(fitted.recipe.train.batchSize * fitted.recipe.train.options.gradientAccumulation == 256)
    #expect(fitted.recipe.train.options.gradientCheckpointing == .none)
    let tight = try run.plan(nil, available: 1 << 20)
    let impossible = try run.fit(tight, nil, in: PlanContext(run, available: 1 << 20)).fitted()
    #expect(!impossible.plan.fits && impossible.plan.memory.peak < whole.memory.peak)
  }

  @Test func checkpointingByThePlan() throws {
    let automatic = try recipe(train: "batch_size: 256, max_steps: 1, gradient_checkpointing: auto")
    #expect(automatic.train.choosesCheckpointing && automatic.yaml.contains("gradient_checkpointing: { type: auto }"))
    #expect(try Recipe(automatic.yaml).yaml == automatic.yaml)
    #expect(throws: RecipeError.self) { try recipe(train: "gradient_checkpointing: {type: auto, every: 2}") }
    func chosen(_ available: Int) throws -> GradientCheckpointing {
      let run = TuneRun(automatic)
      _ = try run.chooseCheckpointing(nil, in: PlanContext(run, available: available))
      #expect(!run.recipe.train.choosesCheckpointing)
      return run.recipe.train.options.gradientCheckpointing
    }
    let whole = try TuneRun(try recipe(train: "batch_size: 256, max_steps: 1")).plan(nil).memory
    #expect(try chosen(1 << 40) == .none)
    #expect(try chosen(whole.peak - whole.activations / 8) == .selective)
    #expect(try chosen(1 << 20) == .full)
  }

  @Test func statesInAFileAreNoMemory() throws {
    let parameters = [(path: "a", shape: [1024, 1024]), (path: "b", shape: [8])]
    let paged = Optimizer.memory(of: parameters, AdamW { $0.isPaged = true })
    #expect(paged.all == 8 * (1024 * 1024 + 8) && paged.paged == 8 * 1024 * 1024 && paged.pagedAtOnce == paged.paged)
    #expect(Optimizer.memory(of: parameters, AdamW()).paged == 0)
  }

  @Test func limitsOfGroupsOfProcesses() throws {
    let root = folder.path("cgroup")
    func file(_ path: String, _ text: String) throws {
      let url = URL(filePath: "\(root)/\(path)")
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: url)
    }
    try file("a/memory.max", "1000000\n")
    try file("a/memory.current", "600000\n")
    try file("a/memory.stat", "anon 1\ninactive_file 100000\n")
    try file("a/b/memory.max", "max\n")
    try file("memory/c/memory.limit_in_bytes", "500000\n")
    try file("memory/c/memory.usage_in_bytes", "450000\n")
    #expect(ControlGroup.groups("0::/a/b\n", root: root).compactMap(\.room) == [500000])
    #expect(ControlGroup.groups("4:cpu,memory:/c\n1:name=systemd:/x\n", root: root).compactMap(\.room) == [50000])
    #expect(Memory.available(in: "MemTotal: 9 kB\nMemAvailable:   3 kB\n") == 3072)
  }

  @Test func diskAndTime() throws {
    var recipe = try recipe(train: "batch_size: 4, max_steps: 20, save_every: 5, save_limit: 2")
    recipe.data.usesCache = true
    let plan = try TuneRun(recipe).plan(nil, matmulRate: 1e9)
    #expect(plan.disk.checkpointsKept == 2 && plan.disk.best == 0 && plan.steps == 20)
    #expect(plan.disk.result == 4 * plan.trainableParameters)
    #expect(plan.disk.checkpoint >= 12 * plan.trainableParameters)
    let time = try #require(plan.time)
    #expect(abs(time.seconds - 20 * time.secondsPerStep) < 1e-9 * time.seconds && time.seconds > 0)
    let all = try TuneRun(try self.recipe("full")).plan(nil)
    #expect(all.disk.result == 4 * all.parameters && all.memory.weights.isEmpty)
  }
}
