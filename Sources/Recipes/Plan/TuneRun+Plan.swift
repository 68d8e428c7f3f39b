import Checkpoints
import Datasets
import Foundation
import Models
import NN
import Objectives
import Text
import Torch
import Training
import Tuners

/// What the plans of one run and of changes of it share.
struct PlanContext {
  let files: ModelFiles
  let vocabulary: GrownVocabulary?
  let tokenizer: BPETokenizer
  /// Bytes that the process holds: what it holds in the run, too.
  let process: Int
  /// What memory there is, `process` included; nil where the system does not say.
  let available: Int?

  /// - Parameter available: what memory there is to be; nil for what the system says.
  /// - Throws: what reading the model's headers and tokenizer throws.
  init(_ run: TuneRun, available: Int?) throws {
    let url = try run.store.resolve(run.recipe.model)
    files = try ModelFiles(url)
    vocabulary = try run.grownVocabulary(url)
    tokenizer = try vocabulary?.text.tokenizer ?? TextSide(url).tokenizer
    process = ProcessMemory.residentBytes
    let isHere = run.plannedDevice == .cpu
    self.available = available ?? (isHere ? Memory.available.map { [process] in $0 + process } : nil)
  }
}

extension TuneRun {
  /// Where the run is to be, whether there is a GPU for it or not.
  var plannedDevice: Device { recipe.train.model.device ?? (TorchRuntime.hasCUDA ? .cuda(0) : .cpu) }

  /// What this run needs, found by going through it without numbers. Weights are not read.
  ///
  /// - Parameters:
  ///   - data: the data as tokens; nil for batches of samples as long as `max_length` lets them be.
  ///   - available: what memory there is; nil for what the system says.
  ///   - matmulRate: operations a second of matrix products in the run's element type, which time is told by; nil for no time.
  /// - Throws: what the parts of a run throw that cannot be put together.
  public func plan(_ data: RunData?, available: Int? = nil, matmulRate: Double? = nil) throws -> RunPlan {
    try plan(data, in: try PlanContext(self, available: available), matmulRate: matmulRate)
  }

  func plan(_ data: RunData?, in context: PlanContext, matmulRate: Double? = nil) throws -> RunPlan {
    try checkPlannable()
    let (device, files) = (plannedDevice, context.files)
    let rehearsal = try RunRehearsal(recipe, files: files, vocabulary: context.vocabulary, device: device)
    let findings = try rehearsal.run(config: files.config, data: data) { try installTuned(in: $0, context) }
    let work = findings.work
    let stored = MergedModel.storedDType(files.weights)
    return RunPlan(
      model: files.path, method: recipe.method.settings.name, objective: recipe.objective.objective.name,
      device: device.description,
      dtype: rehearsal.model.dtype.rawValue, gradientCheckpointing: recipe.train.options.gradientCheckpointing.part.rawValue,
      parameters: findings.parameters.total, trainableParameters: findings.parameters.trainable, largestBatch: work.largest,
      steps: work.steps, memory: PlannedMemory(findings, rehearsal.outline, context, device: device),
      time: matmulRate.flatMap { PlannedTime(findings.operations, work, recipe, matmulRate: $0) },
      disk: PlannedDisk(findings, work, recipe, modelBytes: tunesModel ? findings.parameters.total * stored.byteSize : nil))
  }

  /// - Throws: ``RecipeError`` where what a run takes does not follow from its recipe and data.
  private func checkPlannable() throws(RecipeError) {
    let objective = recipe.objective.objective
    if objective.learnsFrom == .prompts || recipe.objective.feedback != nil {
      throw RecipeError("objective: what a run takes that learns from the model's own answers is not planned: it depends on them")
    }
    if objective is Distillation { throw RecipeError("objective: runs with a teacher are not planned yet") }
  }

  /// The part of ``install(in:)`` that needs no numbers.
  private func installTuned(in adapters: AdapterSet, _ context: PlanContext) throws -> Adapter {
    var below: [AdapterUse] = []
    for (place, folder) in recipe.method.below.enumerated() {
      let name = "below_\(place)"
      try AdapterFolder.load(try ModelWeights.adapterFolder(folder), into: adapters, named: name)
      below.append(AdapterUse(name))
    }
    let adapter: Adapter
    if let folder = recipe.method.initFrom {
      adapter = try AdapterFolder.load(URL(filePath: folder), into: adapters)
    } else {
      var method = recipe.method.settings
      method.prepare(tokenizer: context.tokenizer, of: recipe.model)
      if let tokens = context.vocabulary?.tokens { try method.train(newTokens: tokens, hasOwnHead: !adapters.model.isTied) }
      adapter = try adapters.add(method)
    }
    try adapters.activate(uses: below + [AdapterUse(adapter.name)])
    return adapter
  }
}

extension PlannedMemory {
  /// An allowance for what libraries set aside when they are first used, and for code that is read then.
  private static let ofLibraries = 60 << 20
  /// An allowance for a CUDA context and its libraries on the GPU; not measured.
  private static let ofContext = 450 << 20

  init(_ findings: RunRehearsal.Findings, _ outline: ModelOutline, _ context: PlanContext, device: Device) {
    let report = findings.memory.most > findings.step.most ? findings.memory : findings.step
    func atMost(_ phase: MemoryRehearsal.Phase) -> Int { report.atMost[phase] ?? 0 }
    process = device == .cpu ? context.process + Self.ofLibraries : Self.ofContext
    weights = findings.replacesBase ? [] : outline.weightBytes.map { Part(name: $0.key, bytes: $0.value) }
    adapters = atMost(.model)
    let inFile = findings.remembered
    optimizer = atMost(.optimizer) - inFile.paged + inFile.pagedAtOnce
    gradients = report.staying[.backward] ?? 0
    activations = min(findings.activations, atMost(.forward))
    head = atMost(.forward) - activations
    work = atMost(.backward) - gradients + atMost(.update) + atMost(.evaluation)
    spare = findings.memory.resident - report.most
    loading = process + outline.totalBytes + outline.readBytes + findings.installing
    available = context.available
    peak = 0
    peak = max(parts.reduce(0) { $0 + $1.bytes }, loading)
  }
}
