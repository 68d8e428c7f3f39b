import Checkpoints
import Foundation
import Models
import NN
import Torch
import Tuners

/// A model with adapters at work, over weights as the adapters saw them: what a merged model is measured against.
struct LiveModel {
  /// The model with the adapters.
  let weights: ModelWeights
  /// What models are compared on; nil where nothing is measured.
  let text: MergeText?
  private let reference: [Tensor]
  private let options: ModelOptions
  private let isQuantized: Bool

  /// Loads the model of a merge.
  init(_ merge: MergedModel, _ files: ModelFiles, _ options: ModelOptions) throws {
    let noted = try merge.adapters.compactMap {
      try AdapterRecord(readingFrom: ModelWeights.adapterFolder($0.folder))?.base
    }.first
    let quantization = try Self.quantization(merge.trainedOver ?? noted?.quantization, files)
    weights = try MergedModel.weights(
      merge.source, options, quantization, packedFrom: noted?.dtype.flatMap(DType.init(rawValue:)))
    try Self.load(merge, into: weights, anyBase: merge.anyBase || merge.trainedOver != nil)
    self.options = options
    isQuantized = weights.model.projections().contains { $0.slot.value is QuantizedLinear }
    guard merge.base != .original || isQuantized else {
      throw RecipeError("the adapters were not trained over quantized weights, so there is one base to merge them into")
    }
    guard merge.requantization != nil || isQuantized && !merge.adapters.isEmpty, weights.model.predictsTokens else {
      guard merge.base != .original, merge.requantization == nil else {
        throw RecipeError(
          "a reward model predicts no tokens that merged models could be compared by: leave base and quantization out")
      }
      (text, reference) = (nil, [])
      return
    }
    let text = try MergeText(merge.text, model: merge.source, shape: weights.model.shape)
    (self.text, reference) = (text, try text.scores(weights.model))
  }

  /// Puts the adapters of a merge to work. What scores texts needs no other head in its folder.
  private static func load(_ merge: MergedModel, into weights: ModelWeights, anyBase: Bool) throws {
    try weights.load(weighted: merge.adapters, anyBase: anyBase, scores: true)
    if weights.model.score != nil { weights.model.head = AbsentHead(weights.model.shape.hiddenSize) }
  }

  /// How the weights are quantized when they are loaded: as the adapters noted, or as a .gguf file has them.
  private static func quantization(_ noted: BaseQuantization?, _ files: ModelFiles) throws -> Quantization? {
    guard files.quantization == nil else { return files.weights.staysPacked ? nil : Quantization(.stored) }
    guard let noted else { return nil }
    guard let quantization = Quantization(noted) else {
      throw RecipeError("the adapters were trained over weights quantized as \(noted), and \(files.path) is not; give that model")
    }
    return quantization
  }

  /// The model with the adapters merged, on the base that was asked for or that comes closer.
  ///
  /// - Returns: the merged model, whose weights are made as they are needed; the trials, that of the merged model first; and what could
  ///   not be tried.
  func merged(
    _ merge: MergedModel, as dtype: DType, say: (String) -> Void
  ) throws -> (weights: ModelWeights, trials: [MergeTrial], notes: [String]) {
    try weights.adapters.mergeOnDemand(as: dtype)
    guard isQuantized, !merge.adapters.isEmpty else { return (weights, [], []) }
    guard let text else {
      let note = "a reward model predicts no tokens to compare bases by: it is merged into the dequantized one"
      return (weights, [], [note])
    }
    say("measuring the merged model on \(text.source)")
    var tried = [(weights: weights, trial: try trial(.dequantized, weights, text))]
    let found = try OriginalWeights.find(merge.original, for: weights.files)
    if let url = found.url {
      let original = try MergedModel.weights(url, options)
      // It is the base of the live model, in another form.
      try Self.load(merge, into: original, anyBase: true)
      try original.adapters.mergeOnDemand(as: dtype)
      tried.append((original, try trial(.original, original, text)))
    }
    let kept = merge.base ?? tried.min { $0.trial.divergence < $1.trial.divergence }?.trial.base
    guard let index = tried.firstIndex(where: { $0.trial.base == kept }) else {
      throw RecipeError("\(weights.path): there are no original weights to merge into: \(found.note ?? "")")
    }
    tried.swapAt(0, index)
    return (tried[0].weights, tried.map(\.trial), [found.note].compactMap(\.self))
  }

  private func trial(_ base: MergeBase, _ merged: ModelWeights, _ text: MergeText) throws -> MergeTrial {
    MergeTrial(base, merged.path, try text.distance(of: merged.model, from: reference))
  }

  /// Quantizes the projections of a merged model, and measures what that costs.
  ///
  /// - Parameters:
  ///   - merged: the merged model.
  ///   - quantization: the format, any but `stored`.
  ///   - scratch: where the bits go.
  func requantize(
    _ merged: ModelWeights, as quantization: Quantization, keepingIn scratch: ScratchFile
  ) throws -> RequantizationLoss {
    guard let text, let format = quantization.packing.format, let record = quantization.record else {
      throw RecipeError("merged weights are quantized as nf4, fp4 or int8, not as \(quantization.kind.rawValue)")
    }
    let before = try text.distance(of: merged.model, from: reference)
    for (path, slot) in merged.model.projections() where !quantization.packing.skips(path) {
      var packed: PackedWeight
      do throws(TorchError) {
        packed = try PackedWeight(
          packing: slot.value.denseWeight(), as: format, doubleQuant: quantization.doubleQuant)
      } catch {
        throw RecipeError("the merged weight of “\(path)” cannot be quantized: \(error.message)")
      }
      packed.numbers = try scratch.copy(of: packed.numbers)
      slot.value.releaseWeight()
      slot.value = QuantizedLinear(
        packed, bias: slot.value.denseBias, storesTransposed: slot.value.storesTransposed, dtype: .float32)
    }
    let after = try text.distance(of: merged.model, from: reference)
    return RequantizationLoss(
      quantization: record, divergence: after.divergence, mergedDivergence: before.divergence, sameBest: after.sameBest)
  }
}
