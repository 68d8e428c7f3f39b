// The numbers of a linear layer, as its kernels take them.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <vector>

namespace ct {

/// A change s·B·A of a weight, on inputs some of which are dropped.
struct LowRank {
  /// A [r, in] and B [out, r], float32, contiguous.
  at::Tensor a, b;
  double scale, dropout;
};

/// A weight and its bias [out].
struct LinearWeight {
  /// [out, in], or [in, out] where `transposed`; of the input's type, or float32.
  at::Tensor numbers;
  /// Of an 8-bit weight: [out, blocks] float32.
  at::Tensor scales = {};
  std::optional<at::Tensor> bias = {};
  bool transposed = false;
  std::optional<LowRank> update = {};

  bool quantized() const { return scales.defined(); }
  int64_t outputs() const { return numbers.size(transposed ? 1 : 0); }
  int64_t inputs() const { return numbers.size(transposed ? 0 : 1); }
  /// W as [out, in].
  at::Tensor matrix() const { return transposed ? numbers.t() : numbers; }
};

/// Whether `linears_in_one_go` takes these: on the CPU, in a type that it has kernels for.
bool in_one_go(const at::Tensor &x, const std::vector<LinearWeight> &weights);

/// x·Wᵀ + b + s·dropout(x)·Aᵀ·Bᵀ for each of the weights, with their gradients in one go. x [rows, in], contiguous.
std::vector<at::Tensor> linears_in_one_go(const at::Tensor &x, const std::vector<LinearWeight> &weights);

}  // namespace ct
