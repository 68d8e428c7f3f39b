#include "matvec.h"

#include <algorithm>
#include <cmath>

#include "clones.h"
#include "matvec_amx.h"
#include "matvec_lookup.h"
#include "rows.h"
#include "vectors.h"

namespace {

using namespace ct::matvec;
using namespace ct::vectors;

/// How far ahead of the reading memory is asked for: measured, 15 GB/s without, 21 GB/s with it on two cores of a Xeon.
constexpr int64_t ahead = 6144;
/// Rows and outputs whose sums are kept in registers together.
constexpr int64_t tile_rows = 4, tile_outputs = 4;

/// Adds the products of `n` ≤ 16 features of R rows with O outputs: each weight is read once for all rows.
template <int64_t R, int64_t O, typename Number>
CT_INLINE void add_products(const float *x, int64_t in, const Number *w, int64_t n, Floats (&sums)[O][R]) {
  Floats rows[R], weights;
  for (int64_t r = 0; r < R; ++r) load_some(x + r * in, n, rows[r]);
  for (int64_t o = 0; o < O; ++o) {
    load_some(w + o * in, n, weights);
    for (int64_t r = 0; r < R; ++r) sums[o][r] += weights * rows[r];
  }
}

template <typename Number, int64_t O>
CT_INLINE void ask(const Number *w, int64_t in) {
  for (int64_t o = 0; o < O; ++o) __builtin_prefetch(reinterpret_cast<const char *>(w + o * in) + ahead);
}

/// Puts sums in their places, times the scales of the outputs where there are some.
template <int64_t R, int64_t O>
CT_INLINE void keep(const Floats (&sums)[O][R], const float *scales, float *y) {
  for (int64_t o = 0; o < O; ++o)
    for (int64_t r = 0; r < R; ++r) y[r * outputs_at_once + o] = scales ? sum(sums[o][r]) * scales[o] : sum(sums[o][r]);
}

/// R rows with O outputs. The last features are apart, so that the loop over the others unrolls.
template <int64_t R, int64_t O, typename Number>
CT_INLINE void tile(const float *x, int64_t in, const Number *w, const float *scales, float *y) {
  Floats sums[O][R] = {};
  int64_t i = 0;
  for (; i + width <= in; i += width) {
    ask<Number, O>(w + i, in);
    add_products(x + i, in, w + i, width, sums);
  }
  if (i < in) add_products(x + i, in, w + i, in - i, sums);
  keep(sums, scales, y);
}

template <int64_t O, typename Number>
CT_INLINE void all_rows(const float *x, int64_t rows, int64_t in, const Number *w, const float *scales, float *y) {
  int64_t r = 0;
  for (; r + tile_rows <= rows; r += tile_rows) tile<tile_rows, O>(x + r * in, in, w, scales, y + r * outputs_at_once);
  for (; r < rows; ++r) tile<1, O>(x + r * in, in, w, scales, y + r * outputs_at_once);
}

template <typename Number>
CT_INLINE void all_outputs(const float *x, int64_t rows, int64_t in, const Number *w, const float *scales, int64_t outputs,
                           float *y) {
  int64_t o = 0;
  for (; o + tile_outputs <= outputs; o += tile_outputs)
    all_rows<tile_outputs>(x, rows, in, w + o * in, scales ? scales + o : nullptr, y + o);
  for (; o < outputs; ++o) all_rows<1>(x, rows, in, w + o * in, scales ? scales + o : nullptr, y + o);
}

CT_CLONES void multiply_bfloat16(const float *x, int64_t rows, int64_t in, const uint16_t *w, int64_t outputs, float *y) {
  all_outputs(x, rows, in, w, nullptr, outputs, y);
}

CT_CLONES void multiply_int8(const float *x, int64_t rows, int64_t in, const int8_t *w, const float *scales, int64_t outputs,
                             float *y) {
  all_outputs(x, rows, in, w, scales, outputs, y);
}

/// Numbers of a packed row that are expanded at a time.
constexpr int64_t run_length = 1024;

/// Rows of a packed weight, each read and expanded once for all rows of x.
void multiply_packed_numbers(const float *x, int64_t rows, int64_t in, const ct::packing::Matrix &matrix, int64_t first,
                             int64_t last, float *y) {
  alignas(64) float numbers[run_length];
  for (int64_t o = first; o < last; ++o) {
    for (int64_t r = 0; r < rows; ++r) y[r * outputs_at_once + o - first] = 0;
    for (int64_t i = 0; i < in; i += run_length) {
      const int64_t n = std::min(run_length, in - i);
      ct::packing::expand(matrix, o, i, n, numbers);
      for (int64_t r = 0; r < rows; ++r) y[r * outputs_at_once + o - first] += ct::rows::dot(x + r * in + i, numbers, n);
    }
  }
}

}  // namespace

namespace ct::matvec {

// Measured against libtorch's products: the matrix unit wins up to 64 rows; without it, memory is no longer what bounds the
// kernels above from 4 rows on. Numbers of 8 bits would have to be expanded for libtorch, which pays off later.
int64_t most_rows(Element element) {
  if (element == Element::packed || element == Element::four_bits) return 4;  // more are worth a panel that is expanded once
  if (has_matrix_unit()) return 64;
  return element == Element::int8 ? 16 : 4;
}

Input::Input(const float *x, int64_t rows, int64_t in, Needs needs) : rows_(rows), in_(in), x_(x) {
  if (!needs.split) return;
  split_.resize(static_cast<size_t>(rows * in));
  split(x, rows * in, split_.data());
}

Input::Input(const uint16_t *bfloat16, int64_t rows, int64_t in, Needs needs) : rows_(rows), in_(in), x_(nullptr) {
  const bool on_unit = rows > 1 && has_matrix_unit();
  if (needs.wide || needs.split || !on_unit) {
    widened_.resize(static_cast<size_t>(rows * in));
    rows::widen(bfloat16, widened_.data(), rows * in);
    x_ = widened_.data();
  }
  if (needs.split) {
    split_.resize(static_cast<size_t>(rows * in));
    split(x_, rows * in, split_.data());
  }
  if (!on_unit) return;
  packed_.resize(static_cast<size_t>(packed_size(in) * ((rows + unit_rows - 1) / unit_rows)));
  for (int64_t r = 0; r < rows; r += unit_rows)
    pack(bfloat16 + r * in, std::min(unit_rows, rows - r), in, packed_.data() + r / unit_rows * packed_size(in));
}

void Input::multiply(const Weight &weight, int64_t first, int64_t last, float *y) const {
  if (weight.element == Element::packed) {
    multiply_packed_numbers(x_, rows_, in_, *weight.packed, first, last, y);
  } else if (weight.element == Element::four_bits) {
    multiply_looked_up(split_.data(), rows_, *weight.packed, first, last, y, outputs_at_once, packing::best());
  } else if (!packed_.empty()) {
    for (int64_t r = 0; r < rows_; r += unit_rows)
      multiply_packed(packed_.data() + r / unit_rows * packed_size(in_), weight, first, last, y + r * outputs_at_once);
  } else if (weight.element == Element::bfloat16) {
    multiply_bfloat16(x_, rows_, in_, static_cast<const uint16_t *>(weight.data) + first * in_, last - first, y);
  } else {
    multiply_int8(x_, rows_, in_, static_cast<const int8_t *>(weight.data) + first * in_,
                  weight.scales + first, last - first, y);
  }
}

CT_CLONES void quantize(const float *w, int64_t in, int8_t *q, float *scales) {
  for (int64_t block = 0; block < block_count(in); ++block) {
    const int64_t first = block * scale_block, last = std::min(in, first + scale_block);
    float largest = 0;
    for (int64_t i = first; i < last; ++i) largest = std::max(largest, std::fabs(w[i]));
    const float inverse = largest > 0 ? 127.0f / largest : 0;
    scales[block] = largest / 127.0f;
    for (int64_t i = first; i < last; ++i) q[i] = static_cast<int8_t>(std::nearbyint(w[i] * inverse));
  }
}

CT_CLONES void dequantize(const int8_t *q, const float *scales, int64_t in, float *w) {
  for (int64_t i = 0; i < in; ++i) w[i] = scales[i / scale_block] * static_cast<float>(q[i]);
}

}  // namespace ct::matvec
