// The projection onto a vocabulary and the cross-entropy of its softmax, panel by panel of the vocabulary on the tile unit.
#pragma once

#include <ATen/ATen.h>

namespace ct {

/// What a vocabulary's loss is, and the gradient of the hidden rows where it was asked for.
struct VocabularyLoss {
  /// Σ (ln Σ exp(logit) − logit of the target), float32.
  at::Tensor loss;
  at::Tensor d_hidden;
};

/// hidden [n, d] and weight [V, d], bfloat16, the rows of the weight one after another; targets [n], int64 in 0 ..< V.
VocabularyLoss vocabulary_loss(const at::Tensor &hidden, const at::Tensor &weight, const at::Tensor &targets, bool wants_gradient);

}  // namespace ct
