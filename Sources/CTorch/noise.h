// Dropout masks from a counter: whether element i is kept follows from a key and i alone, so that the backward pass makes the
// mask again and nothing is stored.
#pragma once

#include <cstdint>

namespace ct {

/// Which elements of one tensor a dropout keeps. Nothing is dropped where `share` is 0.
struct Dropout {
  uint64_t key = 0;
  double share = 0;

  bool active() const { return share > 0; }
  /// What a kept element is multiplied with.
  float scale() const { return static_cast<float>(1 / (1 - share)); }
};

/// A dropout of this share with a key of libtorch's default generator of the CPU.
Dropout draw_dropout(double share);

namespace rows {

/// out = x·scale where the element is kept, else 0, for elements first ..< first + n of the tensor. `out` may be `x`.
void drop(const float *x, float *out, const Dropout &dropout, uint64_t first, int64_t n);

}  // namespace rows
}  // namespace ct
