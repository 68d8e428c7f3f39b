// Rows of tensors as float32, whatever their type, on all threads.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "parallel.h"
#include "rows.h"

namespace ct {

/// Elements that are worth a thread.
constexpr int64_t elements_per_task = 1 << 14;

/// Reads and writes rows of a contiguous float32 or bfloat16 tensor as float32, through a scratch row where it must.
class Rows {
 public:
  Rows(const at::Tensor &tensor, int64_t width)
      : data_(tensor.data_ptr()), width_(width), wide_(tensor.scalar_type() == at::kFloat) {}

  const float *read(int64_t row, float *scratch) const {
    if (wide_) return static_cast<const float *>(data_) + row * width_;
    ct::rows::widen(static_cast<const uint16_t *>(data_) + row * width_, scratch, width_);
    return scratch;
  }

  /// Where to build row `row` before `commit`.
  float *target(int64_t row, float *scratch) const {
    return wide_ ? static_cast<float *>(data_) + row * width_ : scratch;
  }

  void commit(int64_t row, const float *built) const {
    if (!wide_) ct::rows::narrow(built, static_cast<uint16_t *>(data_) + row * width_, width_);
  }

  bool wide() const { return wide_; }

 private:
  void *data_;
  int64_t width_;
  bool wide_;
};

/// Calls `body(begin, end, scratch)` over rows; scratch holds `count` rows of `width`, one set for each thread.
template <typename Body>
void for_rows(int64_t rows, int64_t width, int64_t count, Body &&body) {
  const int64_t grain = std::max<int64_t>(1, elements_per_task / std::max<int64_t>(width, 1));
  ct::parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(static_cast<size_t>(width * count));
    body(begin, end, scratch.data());
  });
}

/// The size of the last dimension; 1 for a single number.
inline int64_t row_width(const at::Tensor &tensor) { return tensor.dim() == 0 ? 1 : tensor.size(-1); }

/// The number of rows of `n` elements.
inline int64_t row_count(const at::Tensor &tensor, int64_t n) { return n == 0 ? 0 : tensor.numel() / n; }

}  // namespace ct
