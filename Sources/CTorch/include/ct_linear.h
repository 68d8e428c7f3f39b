#ifndef CT_LINEAR_H
#define CT_LINEAR_H

#include "ct_packing.h"
#include "ct_tensor.h"

/// A linear layer's numbers: a weight W [out, in], or Wᵀ [in, out] where `transposed`, of the input's type, or float32 that is
/// rounded to it for the product; or instead a packed one; a bias [out]; and a low-rank update scale·b·a of the weight, a [r, in]
/// and b [out, r] in float32, on inputs of which `dropout` are dropped. All but one of the weights are optional; nothing is owned.
typedef struct ct_linear_weight {
  ct_tensor weight, bias, a, b;
  const ct_packed_weight *packed;
  double scale, dropout;
  bool transposed;
} ct_linear_weight;

/// outs[i] = x·Wᵢᵀ + biasᵢ + scaleᵢ·dropoutᵢ(x)·aᵢᵀ·bᵢᵀ for `count` weights that take the same input. A few rows without gradients
/// are bound by reading the weights, and read them once; low-rank products are summed in float32. A packed weight takes no gradient;
/// forward and backward, no more than a part of it is expanded at a time. Nothing is handed out on failure.
CT_API ct_status ct_linears(ct_tensor x, const ct_linear_weight *weights, int64_t count, ct_tensor *outs);

/// A weight [out, in] as 8-bit numbers: in each block of 32 neighbours of a row, scale = max|w| / 127, numbers = round(w / scale).
CT_API ct_status ct_quantize(ct_tensor weight, ct_tensor *numbers, ct_tensor *scales);
/// numbers·scales, in float32 or bfloat16.
CT_API ct_status ct_expand_quantized(ct_tensor numbers, ct_tensor scales, ct_dtype dtype, ct_tensor *out);

#endif
