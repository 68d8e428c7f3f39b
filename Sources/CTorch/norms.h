// Norms over the last dimension, with the residual sum before them, in one pass over memory.
#pragma once

#include <ATen/ATen.h>

#include <optional>

namespace ct {

/// A norm's numbers: RMSNorm where there is no bias, LayerNorm where there is one.
struct Norm {
  /// [d].
  at::Tensor weight;
  std::optional<at::Tensor> bias;
  double eps;
};

/// x (+ delta), and its norm. Without a delta the sum is x itself.
struct Normed {
  at::Tensor sum, out;
};

Normed normed(const at::Tensor &x, const std::optional<at::Tensor> &delta, const Norm &norm);

}  // namespace ct
