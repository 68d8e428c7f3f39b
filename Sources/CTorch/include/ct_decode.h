#ifndef CT_DECODE_H
#define CT_DECODE_H

#include "ct_tensor.h"

/// A weight [out, in] of a linear layer: floating-point numbers, or 8-bit numbers (int8) with `scales` [out, ⌈in / 32⌉]
/// (float32), one for 32 neighbours. bias [out] is optional, and so are the scales. Nothing is owned.
typedef struct ct_linear_weight {
  ct_tensor weight, scales, bias;
} ct_linear_weight;

/// outs[i] = x·weightᵢᵀ + biasᵢ for `count` weights that take the same input. For a few rows without gradients the weights are
/// read once, at the speed of memory; else these are libtorch's products. Nothing is handed out on failure.
CT_API ct_status ct_linears(ct_tensor x, const ct_linear_weight *weights, int64_t count, ct_tensor *outs);

/// A weight [out, in] as 8-bit numbers: in each block of 32 neighbours of a row, scale = max|w| / 127, numbers = round(w / scale).
CT_API ct_status ct_quantize(ct_tensor weight, ct_tensor *numbers, ct_tensor *scales);
/// numbers·scales, in float32 or bfloat16.
CT_API ct_status ct_expand_quantized(ct_tensor numbers, ct_tensor scales, ct_dtype dtype, ct_tensor *out);

#endif
