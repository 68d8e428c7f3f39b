#include "decode_attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "clones.h"
#include "vectors.h"

namespace {

using namespace ct::decoding;
using namespace ct::vectors;

/// Query heads whose sums are kept in registers together.
constexpr int64_t most_heads = 4;

/// Scores of the first `count` tokens of a block: scores[h·stride + t] = Σ q[h, f]·keys[f, t].
template <int64_t H, typename Number>
CT_INLINE void score(const float *q, const Number *keys, int64_t features, int64_t tokens, int64_t count, float *scores,
                     int64_t stride) {
  for (int64_t t = 0; t < count; t += 2 * width) {
    Floats sums[H][2] = {};
    const int64_t left = tokens - t;
    for (int64_t f = 0; f < features; ++f) {
      const Number *row = keys + f * tokens + t;
      Floats low, high = {};
      load_some(row, left, low);
      if (left > width) load_some(row + width, left - width, high);
      for (int64_t h = 0; h < H; ++h) {
        sums[h][0] += low * q[h * features + f];
        sums[h][1] += high * q[h * features + f];
      }
    }
    for (int64_t h = 0; h < H; ++h) {
      std::memcpy(scores + h * stride + t, &sums[h][0], sizeof(Floats));
      std::memcpy(scores + h * stride + t + width, &sums[h][1], sizeof(Floats));
    }
  }
}

/// sums[h·stride + f] += Σ weights[h, t]·values[t, f] over the first `count` tokens.
template <int64_t H, typename Number>
CT_INLINE void add_values(const float *weights, int64_t weights_stride, const Number *values, int64_t features, int64_t first,
                          int64_t count, float *sums, int64_t stride) {
  for (int64_t f = 0; f < features; f += 2 * width) {
    Floats parts[H][2];
    const int64_t left = features - f;
    for (int64_t h = 0; h < H; ++h) {
      load_some(sums + h * stride + f, left, parts[h][0]);
      if (left > width) load_some(sums + h * stride + f + width, left - width, parts[h][1]);
    }
    for (int64_t t = first; t < count; ++t) {
      const Number *row = values + t * features + f;
      Floats low, high = {};
      load_some(row, left, low);
      if (left > width) load_some(row + width, left - width, high);
      for (int64_t h = 0; h < H; ++h) {
        parts[h][0] += low * weights[h * weights_stride + t];
        parts[h][1] += high * weights[h * weights_stride + t];
      }
    }
    for (int64_t h = 0; h < H; ++h) {
      store_some(sums + h * stride + f, left, parts[h][0]);
      if (left > width) store_some(sums + h * stride + f + width, left - width, parts[h][1]);
    }
  }
}

/// Turns the scores of tokens `first` ..< `count` into weights against the largest score so far and brings the sums in
/// `partial` in line with it. `scores` has room for a multiple of the vectors' width.
CT_INLINE void weigh(float *scores, int64_t first, int64_t count, int64_t features, float *partial) {
  float top = partial[0];
  for (int64_t t = first; t < count; ++t) top = std::max(top, scores[t]);
  const float shrink = partial[0] == top ? 1.0f : std::exp(partial[0] - top);
  Floats total = {};
  for (int64_t t = 0; t < count; t += width) {
    Floats x;
    load(scores + t, x);
    x -= top;
    decay(x);
    if (t < first || t + width > count)
      for (int64_t j = 0; j < width; ++j)
        if (t + j < first || t + j >= count) x[j] = 0;
    total += x;
    std::memcpy(scores + t, &x, sizeof x);
  }
  partial[0] = top;
  partial[1] = partial[1] * shrink + sum(total);
  for (int64_t f = 0; f < features; ++f) partial[2 + f] *= shrink;
}

template <int64_t H, typename Number>
CT_INLINE void attend_heads(const Blocks &blocks, const Work &work, const float *queries, float *scores, float *out) {
  const int64_t stride = (blocks.tokens + 2 * width - 1) / (2 * width) * 2 * width, size = partial_size(blocks.features);
  for (int64_t block = work.first / blocks.tokens; block * blocks.tokens < work.last; ++block) {
    const int64_t start = block * blocks.tokens;
    const int64_t first = std::max<int64_t>(0, work.first - start), count = std::min(blocks.tokens, work.last - start);
    const int64_t place = (work.table[block] * blocks.heads + work.key_head) * blocks.area();
    score<H>(queries, static_cast<const Number *>(blocks.keys) + place, blocks.features, blocks.tokens, count, scores, stride);
    for (int64_t h = 0; h < H; ++h) weigh(scores + h * stride, first, count, blocks.features, out + h * size);
    add_values<H>(scores, stride, static_cast<const Number *>(blocks.values) + place, blocks.features, first, count, out + 2,
                  size);
  }
}

template <typename Number>
CT_INLINE void attend_all(const Blocks &blocks, const Work &work, float *scores, float *out) {
  for (int64_t h = 0; h < work.query_heads;) {
    const float *queries = work.queries + h * blocks.features;
    float *target = out + h * partial_size(blocks.features);
    switch (std::min(most_heads, work.query_heads - h)) {
      case 1: attend_heads<1, Number>(blocks, work, queries, scores, target); break;
      case 2: attend_heads<2, Number>(blocks, work, queries, scores, target); break;
      case 3: attend_heads<3, Number>(blocks, work, queries, scores, target); break;
      default: attend_heads<most_heads, Number>(blocks, work, queries, scores, target); break;
    }
    h += most_heads;
  }
}

CT_CLONES void attend_wide(const Blocks &blocks, const Work &work, float *scores, float *out) {
  attend_all<float>(blocks, work, scores, out);
}

CT_CLONES void attend_narrow(const Blocks &blocks, const Work &work, float *scores, float *out) {
  attend_all<uint16_t>(blocks, work, scores, out);
}

template <typename Number>
void put_all(const Blocks &blocks, const int32_t *table, int64_t first, int64_t count, const Number *k, const Number *v) {
  const int64_t row = blocks.heads * blocks.features;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t block = (first + i) / blocks.tokens, token = (first + i) % blocks.tokens;
    for (int64_t head = 0; head < blocks.heads; ++head) {
      const int64_t place = (table[block] * blocks.heads + head) * blocks.area();
      Number *keys = static_cast<Number *>(blocks.keys) + place + token;
      const Number *source = k + i * row + head * blocks.features;
      for (int64_t f = 0; f < blocks.features; ++f) keys[f * blocks.tokens] = source[f];
      std::memcpy(static_cast<Number *>(blocks.values) + place + token * blocks.features, v + i * row + head * blocks.features,
                  static_cast<size_t>(blocks.features) * sizeof(Number));
    }
  }
}

}  // namespace

namespace ct::decoding {

void put(const Blocks &blocks, const int32_t *table, int64_t first, int64_t count, const void *k, const void *v) {
  if (blocks.is_wide)
    put_all(blocks, table, first, count, static_cast<const float *>(k), static_cast<const float *>(v));
  else
    put_all(blocks, table, first, count, static_cast<const uint16_t *>(k), static_cast<const uint16_t *>(v));
}

void attend(const Blocks &blocks, const Work &work, float *out) {
  const int64_t size = partial_size(blocks.features);
  std::fill(out, out + work.query_heads * size, 0.0f);
  for (int64_t h = 0; h < work.query_heads; ++h) out[h * size] = -std::numeric_limits<float>::infinity();
  const int64_t stride = (blocks.tokens + 2 * width - 1) / (2 * width) * 2 * width;
  std::vector<float> scores(static_cast<size_t>(most_heads * stride));
  blocks.is_wide ? attend_wide(blocks, work, scores.data(), out) : attend_narrow(blocks, work, scores.data(), out);
}

void combine(const float *parts, int64_t count, int64_t stride, int64_t features, float *out) {
  float top = -std::numeric_limits<float>::infinity(), total = 0;
  for (int64_t i = 0; i < count; ++i) top = std::max(top, parts[i * stride]);
  std::fill(out, out + features, 0.0f);
  for (int64_t i = 0; i < count; ++i) {
    const float *part = parts + i * stride, share = std::exp(part[0] - top);
    total += share * part[1];
    for (int64_t f = 0; f < features; ++f) out[f] += share * part[2 + f];
  }
  for (int64_t f = 0; f < features; ++f) out[f] /= total;
}

}  // namespace ct::decoding
