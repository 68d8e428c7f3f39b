// Attention over the segments of a flat row, in the forms that suit their lengths.
#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace ct {

/// What is the same for all segments of a call.
struct Segments {
  std::vector<int64_t> lengths;
  /// Tokens a query sees, itself included; 0 for all before it.
  int64_t window;
  double scale;
};

/// Short segments, several at a time as one padded batch of matrix products. q [T, H, D]; k, v [T, Hk, D] → [T, H, D].
///
/// For segments of a hundred tokens, the flash kernel spends its time on setting up products of a few rows each: its
/// backward pass was measured at many times the cost of this.
at::Tensor batched_segment_attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const Segments &segments);

}  // namespace ct
