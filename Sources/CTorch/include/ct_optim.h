#ifndef CT_OPTIM_H
#define CT_OPTIM_H

#include "ct_tensor.h"

/// A tuned parameter, its gradient, and the running means of the gradient and of its square: float32, of one shape. Its own learning
/// rate. Nothing is owned.
typedef struct ct_adamw_parameter {
  ct_tensor parameter, gradient, mean, square;
  double learning_rate;
} ct_adamw_parameter;

/// What a step of AdamW is made with; `step` counts from 1, gradients are multiplied by `gradient_scale` first.
typedef struct ct_adamw_settings {
  double beta1, beta2, eps, weight_decay, gradient_scale;
  int64_t step;
} ct_adamw_settings;

/// One AdamW step of `count` parameters in place (Loshchilov & Hutter, arXiv:1711.05101): p −= lr·wd·p; then
/// p −= lr/(1 − β₁ᵗ)·m / (√v/√(1 − β₂ᵗ) + eps).
CT_API ct_status ct_adamw(const ct_adamw_parameter *parameters, int64_t count, const ct_adamw_settings *settings);

/// √Σ x² over all elements of `count` tensors.
CT_API ct_status ct_norm_of_all(const ct_tensor *tensors, int64_t count, double *out);

#endif
