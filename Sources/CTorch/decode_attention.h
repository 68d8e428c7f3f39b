// Attention of a few new tokens over keys and values in blocks: the loops, over plain memory; no libtorch.
//
// A block holds the tokens of one row for all key heads of a layer: keys [heads, features, tokens], so that the scores of
// neighbouring tokens are one vector, and values [heads, tokens, features].
#pragma once

#include <cstdint>

namespace ct::decoding {

/// The blocks of a layer: `keys` and `values` are float32 or bfloat16.
struct Blocks {
  void *keys, *values;
  bool is_wide;
  int64_t heads, tokens, features;

  /// Numbers of one head of a block.
  int64_t area() const { return tokens * features; }
};

/// Puts `count` tokens k, v [count, heads, features] of a row at places `first` and on. table: the row's blocks in order.
void put(const Blocks &blocks, const int32_t *table, int64_t first, int64_t count, const void *k, const void *v);

/// Query heads that share a key head and a span of tokens.
struct Work {
  /// q [heads, features] float32, already scaled.
  const float *queries;
  int64_t query_heads, key_head;
  /// The row's blocks, and the tokens `first` ..< `last` of the row to look at.
  const int32_t *table;
  int64_t first, last;
};

/// Floats that the result for one query head takes: the largest score, the sum of weights, and the weighted sum of values.
constexpr int64_t partial_size(int64_t features) { return features + 2; }

/// out [query heads, partial_size]: softmax over the span, not yet divided by its sum.
void attend(const Blocks &blocks, const Work &work, float *out);

/// Puts `count` parts of one query head, `stride` floats apart, together: out [features].
void combine(const float *parts, int64_t count, int64_t stride, int64_t features, float *out);

}  // namespace ct::decoding
