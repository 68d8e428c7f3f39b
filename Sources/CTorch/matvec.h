// Products of a few rows with a weight: what a step of decoding is made of. A weight is read once for all rows, so that the
// time is that of reading it. Plain memory in, plain memory out; no libtorch.
#pragma once

#include <cstdint>
#include <vector>

#include "packing.h"

namespace ct::matvec {

/// Consecutive numbers of a row that share a scale in `quantize`.
constexpr int64_t scale_block = 32;
/// Scales of a row of `in` 8-bit weights.
constexpr int64_t block_count(int64_t in) { return (in + scale_block - 1) / scale_block; }
/// Outputs that are computed together.
constexpr int64_t outputs_at_once = 32;

enum class Element { bfloat16, int8, four_bits, packed };

/// What rows have to be made ready for.
struct Needs {
  /// float32 as they are.
  bool wide = false;
  /// float32 as `split` writes them.
  bool split = false;
};

/// A weight [out, in] in row-major order.
struct Weight {
  const void *data;
  Element element;
  /// Of an 8-bit weight: [out], what the products of a row are multiplied with.
  const float *scales;
  int64_t out, in;
  /// Instead of data: of 4 bits, or of any other packing.
  const packing::Matrix *packed = nullptr;
};

/// The most rows for which this processor does better by these kernels than by multiplying matrices.
int64_t most_rows(Element element);

/// Rows made ready to be multiplied: in float32, and packed for the matrix unit where there is one and they are several.
class Input {
 public:
  /// x [rows, in], which outlives this where it is float32.
  Input(const float *x, int64_t rows, int64_t in, Needs needs);
  Input(const uint16_t *bfloat16, int64_t rows, int64_t in, Needs needs);

  int64_t rows() const { return rows_; }

  /// y[r·outputs_at_once + o − first] = Σ x[r, i]·w[o, i] in float32 for the outputs `first` ..< `last`, at most
  /// `outputs_at_once` of them.
  void multiply(const Weight &weight, int64_t first, int64_t last, float *y) const;

 private:
  int64_t rows_, in_;
  std::vector<float> widened_, split_;
  std::vector<uint16_t> packed_;
  const float *x_;
};

/// One row of a weight as 8-bit numbers: scale = max|w| / 127 of each block, and w ≈ scale·q with |error| ≤ scale / 2.
void quantize(const float *w, int64_t in, int8_t *q, float *scales);
/// The row back again, scale·q.
void dequantize(const int8_t *q, const float *scales, int64_t in, float *w);

}  // namespace ct::matvec
