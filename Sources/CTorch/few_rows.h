// Linear layers over a few rows, without gradients: a step of decoding. See matvec.h.
#pragma once

#include "linear.h"

namespace ct {

/// Whether `few_rows_linears` takes these: no gradients, few rows, on the CPU, the one-pass kernels not switched off.
bool is_few_rows(const at::Tensor &x, const std::vector<LinearWeight> &weights);

/// x·Wᵀ + b for each of the weights, in one go; without their updates.
std::vector<at::Tensor> few_rows_linears(const at::Tensor &x, const std::vector<LinearWeight> &weights);

}  // namespace ct
