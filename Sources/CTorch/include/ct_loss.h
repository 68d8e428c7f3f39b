#ifndef CT_LOSS_H
#define CT_LOSS_H

#include "ct_tensor.h"

/// Σ −log softmax(hidden·weightᵀ + bias)[target] over the rows of `hidden` [N, d], in float32.
///
/// weight [V, d]; bias [V], optional; targets [N] int64. Logits exist for `chunk` rows at a time, and the gradient of
/// `hidden` is made along with them. Where `weight` or `bias` is trained too, so are their gradients.
CT_API ct_status ct_linear_cross_entropy(ct_tensor hidden, ct_tensor weight, ct_tensor bias, ct_tensor targets, int64_t chunk,
                                         ct_tensor *out);

/// log softmax(hidden·weightᵀ + bias)[target] of each row, in float32: out [N], each with a gradient of its own.
///
/// As `ct_linear_cross_entropy`, but that the gradients of `weight` and `bias` are made from logits that the backward pass makes again.
CT_API ct_status ct_linear_log_probs(ct_tensor hidden, ct_tensor weight, ct_tensor bias, ct_tensor targets, int64_t chunk,
                                     ct_tensor *out);

/// log softmax(logits)[target] for each row, in float32. logits [N, V]; targets [N] int64; out [N].
CT_API ct_status ct_token_log_probs(ct_tensor logits, ct_tensor targets, ct_tensor *out);

#endif
