// Linear layers over a few rows, without gradients: a step of decoding. See matvec.h.
#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace ct {

/// A weight [out, in] and its bias [out].
struct LinearWeight {
  at::Tensor numbers;
  /// Of an 8-bit weight: [out, blocks] float32.
  at::Tensor scales;
  std::optional<at::Tensor> bias;
};

/// Whether `few_rows_linears` takes these: no gradients, few rows, on the CPU, the one-pass kernels not switched off.
bool is_few_rows(const at::Tensor &x, const std::vector<LinearWeight> &weights);

/// x·Wᵀ + b for each of the weights, in one go.
std::vector<at::Tensor> few_rows_linears(const at::Tensor &x, const std::vector<LinearWeight> &weights);

}  // namespace ct
