#ifndef CT_ATTENTION_H
#define CT_ATTENTION_H

#include "ct_tensor.h"

/// softmax(q·kᵀ·scale + mask)·v with grouped key/value heads.
///
/// q [B, H, S, D]; k, v [B, Hk, K, D], H a multiple of Hk; mask optional, boolean (true = may look) or additive,
/// broadcastable to [B, H, S, K]; `causal` lets query i look at keys ≤ i and excludes a mask.
CT_API ct_status ct_attention(ct_tensor q, ct_tensor k, ct_tensor v, ct_tensor mask, bool causal, double dropout, double scale,
                              ct_tensor *out);

/// Causal attention inside each segment of one flat row; nothing crosses from one segment to the next.
///
/// q [T, H, D]; k, v [T + Σ before, Hk, D]; `lengths` sum to T. `before` [count] says how many keys that have no query stand before
/// those of each segment and are seen by all its tokens; null for none. `window` > 0 lets a token see itself and the `window − 1`
/// keys before it. out [T, H, D].
CT_API ct_status ct_segment_attention(ct_tensor q, ct_tensor k, ct_tensor v, const int64_t *lengths, const int64_t *before,
                                      int64_t count, int64_t window, double dropout, double scale, ct_tensor *out);

#endif
