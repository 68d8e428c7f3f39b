#ifndef CT_DEQUANTIZE_H
#define CT_DEQUANTIZE_H

#include "ct_status.h"

/// How a block of weights is stored in a GGUF file. The names are ggml's; the values are ours.
typedef enum ct_block_format {
  CT_BLOCK_F32 = 0,
  CT_BLOCK_F16,
  CT_BLOCK_BF16,
  CT_BLOCK_Q4_0,
  CT_BLOCK_Q4_1,
  CT_BLOCK_Q5_0,
  CT_BLOCK_Q5_1,
  CT_BLOCK_Q8_0,
  CT_BLOCK_Q4_K,
  CT_BLOCK_Q5_K,
  CT_BLOCK_Q6_K,
} ct_block_format;

/// The weights of one block: 1 for the three plain formats, 32, or 256 for the K formats.
CT_API int64_t ct_block_length(ct_block_format format);
/// The bytes of one block.
CT_API int64_t ct_block_bytes(ct_block_format format);

/// Expands `count` blocks, which need no alignment, to float32. `out` has room for `count` times the block's length.
/// Needs no tensor and cannot fail; safe on any thread.
CT_API void ct_dequantize_float32(ct_block_format format, const void *blocks, int64_t count, float *out);

/// The same to the bits of bfloat16, each float32 result rounded to the nearest, ties to even; a NaN becomes 0x7FC0.
CT_API void ct_dequantize_bfloat16(ct_block_format format, const void *blocks, int64_t count, uint16_t *out);

#endif
