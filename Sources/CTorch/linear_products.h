// The products that linear layers with one input are made of, forward and backward.
#pragma once

#include <vector>

#include "dropout.h"
#include "linear.h"

namespace ct {

/// Which of a linear layer's numbers are to have gradients.
struct Learnt {
  bool weight = false, bias = false, a = false, b = false;
};

/// A linear layer in the backward pass: its numbers, and what the forward pass kept.
struct KeptLinear {
  LinearWeight weight;
  /// dropout(x)·Aᵀ [rows, r or more].
  at::Tensor low;
  Dropout dropout;
  Learnt learnt;
};

/// The gradients of the numbers of a linear layer, those that are wanted.
struct LinearGradients {
  at::Tensor weight, bias, a, b;
};

/// What linear layers with one input are computed with.
class LinearProducts {
 public:
  virtual ~LinearProducts() = default;

  /// x·Aᵀ for each of the weights that has an update, of inputs with its dropout.
  virtual std::vector<at::Tensor> lows(const std::vector<at::Tensor> &inputs, const std::vector<LinearWeight> &weights) const = 0;

  /// x·Wᵀ + b + s·low·Bᵀ for each of the weights.
  virtual std::vector<at::Tensor> outputs(const at::Tensor &x, const std::vector<LinearWeight> &weights,
                                          const std::vector<at::Tensor> &lows) const = 0;

  /// Fills `found` from the gradients of the outputs, some of which may be missing, and returns that of x where it is wanted.
  virtual at::Tensor gradients(const at::Tensor &x, const std::vector<KeptLinear> &kept, const std::vector<at::Tensor> &grads,
                               bool wants_x, std::vector<LinearGradients> &found) const = 0;
};

/// x·Wᵀ and g·W for a packed weight, in the type of the other factor: a part of W is expanded at a time.
at::Tensor times_packed_transposed(const at::Tensor &x, const PackedWeight &weight);
at::Tensor times_packed(const at::Tensor &grad, const PackedWeight &weight);

/// Block by block, in bfloat16: all products of a kind in one go, those of the input's gradient summed before they are rounded.
/// Weights may be float32.
const LinearProducts &tiled_linears();

/// By libtorch's products, in the type of x.
const LinearProducts &plain_linears();

}  // namespace ct
