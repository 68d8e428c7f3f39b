// The projection onto a vocabulary and the cross-entropy of its softmax, panel by panel of the vocabulary on the tile unit.
#pragma once

#include <ATen/ATen.h>

namespace ct {

/// What a vocabulary's loss is, and the gradient of the hidden rows where it was asked for.
struct VocabularyLoss {
  /// Σ (ln Σ exp(logit) − logit of the target), float32.
  at::Tensor loss;
  at::Tensor d_hidden;
  /// ln Σ exp(logit) of each row, float32.
  at::Tensor log_sums;
};

/// hidden [n, d], bfloat16; weight [V, d], bfloat16, or float32 that is rounded to it, the rows one after another; targets [n],
/// int64 in 0 ..< V.
VocabularyLoss vocabulary_loss(const at::Tensor &hidden, const at::Tensor &weight, const at::Tensor &targets, bool wants_gradient);

/// The gradient of the weight times `scale`, in the weight's type: scale·Σ (softmax − one-hot of the target)ᵀ·hidden. The logits are
/// made a second time.
at::Tensor vocabulary_weight_gradient(const at::Tensor &hidden, const at::Tensor &weight, const at::Tensor &targets,
                                      const at::Tensor &log_sums, float scale);

}  // namespace ct
