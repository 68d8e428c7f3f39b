// The numbers of a linear layer, as its kernels take them.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <vector>

#include "packed_weight.h"

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
  /// Instead of a dense weight; `numbers` are then its bytes.
  c10::intrusive_ptr<PackedWeight> packed = {};
  std::optional<at::Tensor> bias = {};
  bool transposed = false;
  std::optional<LowRank> update = {};

  int64_t outputs() const { return packed ? packed->outputs() : numbers.size(transposed ? 1 : 0); }
  int64_t inputs() const { return packed ? packed->inputs() : numbers.size(transposed ? 0 : 1); }
  /// W as [out, in], of a dense weight.
  at::Tensor matrix() const { return transposed ? numbers.t() : numbers; }
};

/// Whether `linears_in_one_go` takes these: on the CPU, in a type that it has kernels for.
bool in_one_go(const at::Tensor &x, const std::vector<LinearWeight> &weights);

/// x·Wᵀ + b + s·dropout(x)·Aᵀ·Bᵀ for each of the weights, with their gradients in one go. x [rows, in], contiguous.
std::vector<at::Tensor> linears_in_one_go(const at::Tensor &x, const std::vector<LinearWeight> &weights);

/// x·Wᵀ + b with its gradient for x, by libtorch's products of parts of the expanded weight. x [rows, in], contiguous.
at::Tensor packed_linear(const at::Tensor &x, const c10::intrusive_ptr<PackedWeight> &weight, const std::optional<at::Tensor> &bias);

/// The packed weight that a backward pass has kept; none where there was none.
c10::intrusive_ptr<PackedWeight> packed_of(const c10::IValue &kept);

}  // namespace ct
