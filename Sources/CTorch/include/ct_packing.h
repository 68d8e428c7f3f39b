#ifndef CT_PACKING_H
#define CT_PACKING_H

#include "ct_dequantize.h"
#include "ct_tensor.h"

/// How a frozen weight is stored in few bits.
typedef enum ct_packing {
  /// 4 bits: quantiles of a normal distribution, times the largest magnitude of a block. Dettmers et al., arXiv:2305.14314.
  CT_PACKED_NF4 = 0,
  /// 4 bits: a sign, two bits of exponent and one of mantissa, times the largest magnitude of a block.
  CT_PACKED_FP4,
  /// 8 bits: round(127·w / s), with s the largest magnitude of the row. Dettmers et al., arXiv:2208.07339.
  CT_PACKED_INT8,
  /// Blocks of a GGUF file as they lie there.
  CT_PACKED_BLOCKS,
} ct_packing;

/// A weight [out, in] in few bits, on the CPU.
typedef struct ct_packed_weight {
  ct_packing packing;
  /// Of CT_PACKED_BLOCKS, not a plain one.
  ct_block_format format;
  int64_t out, in;
  /// uint8: two numbers of 4 bits in a byte, in row-major order, the first in its high half; or blocks, row after row.
  /// int8 [out, in] for CT_PACKED_INT8.
  ct_tensor numbers;
  /// 4 bits: float32, one for each `block` numbers, counted through all rows; or uint8 where there is a map. 8 bits: float32 [out].
  /// None for CT_PACKED_BLOCKS.
  ct_tensor scales;
  /// Optional, both or neither: scale b is map[scales[b]]·outer_scales[b / 256] + offset. float32; the map has 256.
  ct_tensor outer_scales, map;
  float offset;
  /// Numbers that share a scale, 4 bits: 32, 64, 128 … 4096.
  int64_t block;
  /// What expanded numbers are rounded to before anything is computed with them: float32, bfloat16 or float16.
  ct_dtype dtype;
} ct_packed_weight;

/// Packs a weight [out, in] on the CPU in 4 or 8 bits as bitsandbytes 0.50 does on a CPU, to the bit. `nested` puts the scales of
/// 4 bits into 8 bits, less their mean. The tensors of `out` are the caller's to free.
/// A number that is not finite is refused with CT_INVALID_ARGUMENT.
CT_API ct_status ct_pack(ct_tensor weight, ct_packing packing, int64_t block, bool nested, ct_packed_weight *out);

/// Rows first_row ..< first_row + rows of a packed weight in `dtype`: float32, bfloat16 or float16. [rows, in].
CT_API ct_status ct_expand_packed(const ct_packed_weight *weight, int64_t first_row, int64_t rows, ct_dtype dtype, ct_tensor *out);

/// The instruction sets for which expansion is written; all give the same bits.
typedef enum ct_instructions { CT_INSTRUCTIONS_PLAIN = 0, CT_INSTRUCTIONS_AVX2, CT_INSTRUCTIONS_AVX512 } ct_instructions;

/// Looks up 2·`bytes` numbers of 4 bits in tables of 16, to float32 and to bfloat16, by the version for one instruction set. Needs
/// no tensor; false, with nothing written, where this processor lacks it.
CT_API bool ct_look_up_four_bits(
    const uint8_t *packed, int64_t bytes, const float *table, const uint16_t *narrow_table, ct_instructions instructions, float *out,
    uint16_t *narrow_out);

/// y[r, o] = Σ x[r, i]·w[o, i] with a weight of 4 bits, as a step of decoding computes it, by the version for one instruction set: x [rows,
/// in], y [rows, out], float32, row-major. CT_INVALID_ARGUMENT where the weight's rows are not made of whole blocks of a multiple of 32
/// numbers; CT_NOT_IMPLEMENTED where this processor lacks the instructions.
CT_API ct_status ct_multiply_four_bits(const ct_packed_weight *weight, const float *x, int64_t rows, ct_instructions instructions,
                                       float *y);

#endif
