#ifndef CT_OPTIM_H
#define CT_OPTIM_H

#include "ct_tensor.h"

/// Rules that move each number of a parameter by itself. With g the gradient times `gradient_scale`, lr the parameter's rate and wd its
/// decay:
typedef enum ct_step_rule {
  /// m = β₁·m + (1 − β₁)·g, v = β₂·v + (1 − β₂)·g², p = p·(1 − lr·wd) − lr/(1 − β₁ᵗ)·m / (√v/√(1 − β₂ᵗ) + eps).
  CT_STEP_ADAMW = 0,
  /// p = p·(1 − lr·wd) − lr·sign(β₁·m + (1 − β₁)·g), then m = β₂·m + (1 − β₂)·g.
  CT_STEP_LION,
  /// d = g + wd·p, b = β₁·b + (1 − dampening)·d (b = d in the first step), p −= lr·(nesterov ? d + β₁·b : b); without a first state
  /// p −= lr·d.
  CT_STEP_SGD,
  /// p = p·(1 − lr·wd) − lr·g.
  CT_STEP_MOVE,
} ct_step_rule;

/// What a rule remembers of a parameter: `numbers` float32 of its shape; or, where there are `scales`, codes (uint8) of its shape and one
/// float32 for each 256 of them in row-major order, the last fewer: a number is map[code]·scale (`ct_dynamic_map`). May live on the CPU
/// while the parameter does not. Null where the rule remembers nothing.
typedef struct ct_step_state {
  ct_tensor numbers, scales;
} ct_step_state;

/// A parameter, float32 or bfloat16, and its gradient, of the same shape and of one of these types. Nothing is owned.
typedef struct ct_moved_parameter {
  ct_tensor parameter, gradient;
  /// m, or b; and v, whose codes are those of the map without sign.
  ct_step_state first, second;
  double learning_rate, weight_decay;
  /// Which random numbers round a bfloat16 parameter, where that is asked for.
  uint64_t noise;
} ct_moved_parameter;

/// What a step is made with; `step` counts from 1.
typedef struct ct_step_settings {
  ct_step_rule rule;
  double beta1, beta2, eps, dampening, gradient_scale;
  bool nesterov;
  /// Round bfloat16 parameters up or down at random, each with the probability that makes the mean exact; else to nearest.
  bool rounds_at_random;
  int64_t step;
} ct_step_settings;

/// One step of `count` parameters in place. All arithmetic is in float32.
CT_API ct_status ct_optimizer_step(const ct_moved_parameter *parameters, int64_t count, const ct_step_settings *settings);

/// A parameter of two dimensions or more with the means of its squared gradients over the last dimension (`rows`) and the one before
/// (`columns`); or any with the mean of all (`squares`) in their place. `mean` is null where updates are not averaged. Float32.
typedef struct ct_adafactor_parameter {
  ct_tensor parameter, gradient, rows, columns, squares, mean;
  double learning_rate, weight_decay;
  uint64_t noise;
} ct_adafactor_parameter;

/// What a step of Adafactor is made with: ε₁ is added to squares, ε₂ is the least scale of a parameter.
typedef struct ct_adafactor_settings {
  double eps1, eps2, clip_threshold, decay_rate, beta1, gradient_scale;
  bool scales_parameter, rounds_at_random;
  int64_t step;
} ct_adafactor_settings;

/// One step of Adafactor in place (Shazeer & Stern, arXiv:1804.04235).
CT_API ct_status ct_adafactor_step(const ct_adafactor_parameter *parameters, int64_t count, const ct_adafactor_settings *settings);

/// The 256 values of an 8-bit code, ascending, in float32: the dynamic map of Dettmers (arXiv:1511.04561, arXiv:2110.02861), from −1 to 1 or
/// from 0 to 1.
CT_API ct_status ct_dynamic_map(bool is_signed, ct_tensor *out);

/// The codes of float32 numbers, and a scale for each 256: the largest magnitude. A number's code is that of the nearest value, the
/// lower one of two as near.
CT_API ct_status ct_encode_blocks(ct_tensor numbers, bool is_signed, ct_tensor *codes, ct_tensor *scales);

/// The float32 numbers of codes.
CT_API ct_status ct_decode_blocks(ct_tensor codes, ct_tensor scales, bool is_signed, ct_tensor *out);

/// Float32 numbers as bfloat16, each rounded up or down at random; `noise` and a number's place say how.
CT_API ct_status ct_round_at_random(ct_tensor numbers, uint64_t noise, ct_tensor *out);

/// √Σ x² over all elements of `count` tensors.
CT_API ct_status ct_norm_of_all(const ct_tensor *tensors, int64_t count, double *out);

#endif
