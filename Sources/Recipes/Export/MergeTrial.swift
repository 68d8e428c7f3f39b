import Checkpoints
import Foundation
import NN
import Torch
import Tuners

/// Which weights an adapter is merged into that was trained over quantized ones.
public enum MergeBase: String, Sendable, Hashable, CaseIterable {
  /// The quantized weights, expanded: the numbers that it saw.
  case dequantized
  /// The weights before they were quantized.
  case original
}

/// A base with the adapters merged into it, and how far its predictions are from those of the model with the adapters live.
public struct MergeTrial: Sendable, Hashable {
  /// The base.
  public let base: MergeBase
  /// Its folder or file.
  public let path: String
  /// Kullback and Leibler's divergence from the live model, the mean over all places of the text, in nats.
  public let divergence: Double
  /// The share of places at which both find the same token likeliest, from 0 to 1.
  public let sameBest: Double

  init(_ base: MergeBase, _ path: String, _ distance: MergeText.Distance) {
    (self.base, self.path) = (base, path)
    (divergence, sameBest) = (distance.divergence, distance.sameBest)
  }
}

/// What quantizing a merged model costs.
public struct RequantizationLoss: Sendable, Hashable {
  /// The format.
  public let quantization: BaseQuantization
  /// The divergence of the quantized model from the live one, in nats.
  public let divergence: Double
  /// The same of the merged model before it was quantized.
  public let mergedDivergence: Double
  /// The share of places at which the quantized and the live model find the same token likeliest, from 0 to 1.
  public let sameBest: Double
}

/// The weights that a quantized model was made from.
enum OriginalWeights {
  /// Looks for them: those given, the files themselves where they are quantized as they are loaded, and those that the folder says it
  /// was made from, where they are there and are still the same.
  ///
  /// - Returns: their folder or file; where there are none, why.
  /// - Throws: ``RecipeError`` where those given are quantized.
  static func find(_ given: URL?, for files: ModelFiles) throws -> (url: URL?, note: String?) {
    if let given {
      if let quantization = try ModelFiles(given).quantization {
        throw RecipeError("--original \(given.path) is quantized itself, as \(quantization)")
      }
      return (given, nil)
    }
    guard files.quantization != nil else { return (URL(filePath: files.path), nil) }
    guard let origin = try QuantizedOrigin(readingFrom: URL(filePath: files.path)) else {
      return (nil, "where the original weights are is not known; --original names them")
    }
    let url = URL(filePath: origin.path)
    guard let original = try? ModelFiles(url) else {
      return (nil, "the original weights were in \(origin.path), where no model is now; --original names them")
    }
    guard try BaseFingerprint(original.weights).description == origin.fingerprint else {
      return (nil, "the weights in \(origin.path) are no longer those that were quantized; --original names others")
    }
    return (url, nil)
  }
}
