#ifndef CT_CACHE_H
#define CT_CACHE_H

#include "ct_tensor.h"

/// Which blocks hold the rows of a cache. Row r has its blocks at blocks[r·width] and on, in order; what is behind its last is
/// any block. past[r] tokens of it are written.
typedef struct ct_block_table {
  const int32_t *blocks;
  int64_t rows, width;
  const int64_t *past;
} ct_block_table;

/// Writes tokens into a layer's blocks, behind the `past` of each row: keys [N, Hk, D, T] and values [N, Hk, T, D] in blocks of
/// T tokens. k, v [Σ counts, Hk, D] hold counts[r] tokens of each row r, one row after the other.
CT_API ct_status ct_cache_put(ct_tensor keys, ct_tensor values, const ct_block_table *table, ct_tensor k, ct_tensor v,
                              const int64_t *counts);

/// Attention of S new tokens of each row, which have been put already, over the row: q [rows, S, H, D], H a multiple of Hk →
/// [rows, S, H, D]. Token i of row r sees the first past[r] + i + 1 tokens, of these the last `window` where it is above 0.
/// For use without gradients.
CT_API ct_status ct_cached_attention(ct_tensor keys, ct_tensor values, const ct_block_table *table, ct_tensor q, int64_t window,
                                     double scale, ct_tensor *out);

#endif
