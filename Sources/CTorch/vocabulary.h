// The projection onto a vocabulary and the logarithm of its softmax, panel by panel of the vocabulary.
#pragma once

#include <ATen/ATen.h>

namespace ct {

/// What a vocabulary says of the targets of rows.
struct VocabularyLogProbs {
  /// Logit of the target − ln Σ exp(logit) of each row, float32.
  at::Tensor log_probs;
  /// The gradient of each row's own number by that row, where it was asked for.
  at::Tensor d_hidden;
  /// ln Σ exp(logit) of each row, float32.
  at::Tensor log_sums;
};

/// hidden [n, d], bfloat16; weight [V, d], bfloat16, or float32 that is rounded to it, the rows one after another; targets [n],
/// int64 in 0 ..< V.
VocabularyLogProbs vocabulary_log_probs(const at::Tensor &hidden, const at::Tensor &weight, const at::Tensor &targets,
                                        bool wants_gradient);

/// The gradient of the weight, in its type, with that of the rows' numbers, d [n] float32: Σ d·(one-hot of the target − softmax)ᵀ·hidden.
/// The logits are made a second time.
at::Tensor vocabulary_weight_gradient(const at::Tensor &hidden, const at::Tensor &weight, const at::Tensor &targets,
                                      const at::Tensor &log_sums, const at::Tensor &d_log_probs);

}  // namespace ct
