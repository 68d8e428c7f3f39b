// What one step of an optimizer does to a row of numbers, in float32.
#pragma once

#include <ATen/ATen.h>

#include "ct_optim.h"

namespace ct {

/// A rule with its factors for one parameter. Shares of the new are rounded from float64: 1 − β₂ in float32 would be off in its fifth
/// digit.
struct Step {
  ct_step_rule rule;
  bool nesterov, is_first;
  float beta1, new1, beta2, new2, eps, keep, rate, root, decay, taken, gradient_scale;

  Step(const ct_step_settings &settings, double learning_rate, double weight_decay, bool has_first);

  /// Moves `n` numbers at `p`; `m` and `v` are what is remembered of them, null where the rule remembers nothing.
  void run(float *p, const float *g, float *m, float *v, int64_t n) const;
  /// The same out of libtorch's operations, on any device: all float32.
  void run(at::Tensor p, const at::Tensor &gradient, at::Tensor m, at::Tensor v) const;
};

}  // namespace ct
