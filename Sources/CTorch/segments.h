// Causal attention inside each segment of a flat row, with its gradients, on the CPU.
#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace ct {

/// What is the same for all segments of a call.
struct Segments {
  std::vector<int64_t> lengths;
  /// Keys before the first query of each segment, all of which its queries see: 0 and more, as many as there are segments.
  std::vector<int64_t> before;
  /// Tokens a query sees, itself included; 0 for all before it.
  int64_t window;
  double scale;
  /// Share of attention weights dropped.
  double dropout;
};

/// softmax(q·kᵀ·scale)·v inside each segment. q [T, H, D]; k, v [T + Σ before, Hk, D] → [T, H, D]; contiguous, float32 or
/// bfloat16. The window counts the keys before as it does a segment's own.
///
/// Each task is one head of one segment, a block of queries at a time: a block's scores are whole,
/// which at any usual length is less than a core's cache, so that softmax needs no running maximum. The backward pass makes
/// the weights again from the logarithm of their sum (Dao, arXiv:2307.08691, §3.1); dropout's mask comes from a counter.
at::Tensor segment_attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const Segments &segments);

}  // namespace ct
