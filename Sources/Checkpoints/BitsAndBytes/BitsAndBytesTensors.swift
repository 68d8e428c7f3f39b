import Text
import Torch

/// A packed weight as bitsandbytes stores it in safetensors files.
public enum BitsAndBytesTensors {
  /// The tensors of a weight, each under its key.
  ///
  /// - Parameters:
  ///   - packed: of 4 or 8 bits.
  ///   - path: the path of the projection, without `.weight`.
  /// - Throws: ``CheckpointError`` for blocks of a GGUF file, which bitsandbytes does not know; `TorchError` from libtorch.
  public static func make(_ packed: PackedWeight, at path: String) throws -> [(String, Tensor)] {
    guard let scales = packed.scales else {
      throw CheckpointError(
        .unsupported, at: path, "is in blocks of a GGUF file, which bitsandbytes does not know",
        remedy: "Quantize the model anew as nf4, fp4 or int8")
    }
    let name = "\(path).weight"
    guard let state = BitsAndBytesState(packed) else {
      return [(name, packed.numbers), ("\(path).SCB", scales), ("\(path).weight_format", try Tensor([UInt8(0)], shape: []))]
    }
    var tensors = [
      (name, try packed.numbers.reshaped([packed.numbers.count, 1])), ("\(name).absmax", scales),
      ("\(name).quant_map", try Tensor(packed.format.values())),
    ]
    if let nested = packed.nested {
      tensors += [("\(name).nested_absmax", nested.outerScales), ("\(name).nested_quant_map", nested.map)]
    }
    return tensors + [("\(name).\(BitsAndBytesState.keyPrefix)\(state.type)", try Tensor(state.bytes))]
  }

  /// The `quantization_config` of a config.json that says how weights were packed.
  ///
  /// - Parameters:
  ///   - format: nf4, fp4 or int8.
  ///   - doubleQuant: whether the scales of 4 bits are in 8 bits.
  ///   - dtype: what they are computed with.
  ///   - skipped: the modules that are not packed.
  public static func configuration(
    _ format: PackedWeight.Format, doubleQuant: Bool, dtype: DType, skipped: [String]
  ) -> JSON {
    let isFourBits = format != .int8
    return [
      "_load_in_4bit": .bool(isFourBits), "_load_in_8bit": .bool(!isFourBits), "bnb_4bit_compute_dtype": .string(dtype.rawValue),
      "bnb_4bit_quant_storage": "uint8", "bnb_4bit_quant_type": format == .fp4 ? "fp4" : "nf4",
      "bnb_4bit_use_double_quant": .bool(isFourBits && doubleQuant), "llm_int8_enable_fp32_cpu_offload": false,
      "llm_int8_has_fp16_weight": false, "llm_int8_skip_modules": .array(skipped.map(JSON.string)), "llm_int8_threshold": 6.0,
      "load_in_4bit": .bool(isFourBits), "load_in_8bit": .bool(!isFourBits), "quant_method": "bitsandbytes",
    ]
  }
}
