#ifndef CT_NN_H
#define CT_NN_H

#include "ct_tensor.h"

/// Rows of `weight` [V, d] at `indices`.
CT_API ct_status ct_embedding(ct_tensor weight, ct_tensor indices, ct_tensor *out);
/// (x − mean)/√(var + eps)·weight + bias over the last dimension. weight, bias [d].
CT_API ct_status ct_layer_norm(ct_tensor x, ct_tensor weight, ct_tensor bias, double eps, ct_tensor *out);
/// weight · x/√(mean(x²) + eps) over the last dimension, the quotient in float32 and rounded to x's dtype before the product.
CT_API ct_status ct_rms_norm(ct_tensor x, ct_tensor weight, double eps, ct_tensor *out);
/// sum = x + delta, and out = the LayerNorm of the sum, or its RMSNorm where `bias` is null.
CT_API ct_status ct_add_and_norm(ct_tensor x, ct_tensor delta, ct_tensor weight, ct_tensor bias, double eps, ct_tensor *sum,
                                 ct_tensor *out);
/// Zeroes elements with probability p and scales the rest by 1/(1 − p).
CT_API ct_status ct_dropout(ct_tensor x, double p, ct_tensor *out);
/// x [B, S, H, D] with each pair (i, i + R/2) of its first R features turned by the angles of `cos`, `sin` [B, S, R/2]
/// (float32); the other features pass.
CT_API ct_status ct_rotary(ct_tensor x, ct_tensor cos, ct_tensor sin, ct_tensor *out);
/// silu(gate) · up.
CT_API ct_status ct_swiglu(ct_tensor gate, ct_tensor up, ct_tensor *out);

/// The states of a bidirectional LSTM that starts from zeros: x [n, d] → [n, 2·h], forward beside backward. `weights` holds, for each
/// of `layers` layers and first forward, then backward: input [4h, ..], hidden [4h, h], and the two biases [4h]. `dropout` is that
/// between layers.
CT_API ct_status ct_bidirectional_lstm(ct_tensor x, const ct_tensor *weights, int64_t count, int64_t layers, double dropout,
                                       ct_tensor *out);

#endif
