// Linear layers over a few rows, without gradients: a step of decoding. See matvec.h.
#pragma once

#include "linear.h"

namespace ct {

/// Whether `few_rows_linears` takes these: no gradients, few rows, on the CPU, the one-pass kernels not switched off.
bool is_few_rows(const at::Tensor &x, const std::vector<LinearWeight> &weights);

/// x·Wᵀ + b for each of the weights, in one go; without their updates.
std::vector<at::Tensor> few_rows_linears(const at::Tensor &x, const std::vector<LinearWeight> &weights);

/// Throws where these are no 8-bit numbers [out, in] with scales [out, blocks].
void check_quantized(const at::Tensor &numbers, const at::Tensor &scales);

/// numbers·scales, in float32 or bfloat16.
at::Tensor expanded(const at::Tensor &numbers, const at::Tensor &scales, at::ScalarType type);

}  // namespace ct
