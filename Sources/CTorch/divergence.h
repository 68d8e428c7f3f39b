// How far one distribution over classes is from another, and which way is nearer.
#pragma once

#include <ATen/ATen.h>

#include "ct_distill.h"

namespace ct {

/// A divergence of rows.
struct Divergence {
  /// Of each row, float32.
  at::Tensor rows;
  /// Its gradient by the student's scores, where it was asked for: as of logits whose softmax the student's distribution is.
  at::Tensor gradient;
};

/// The divergence that `kind` says, without its share. student, teacher: log-probabilities [n, c], float32, each row a distribution; both
/// are given up.
Divergence divergence(at::Tensor student, at::Tensor teacher, const ct_distillation &kind, bool wants_gradient);

/// The same where the teacher is known by some tokens: log_probs [n, V] the student's, float32, given up; ids [n, k] int64; teacher
/// [n, k] float32. The gradient is that of the logits [n, V].
Divergence divergence_of_some(at::Tensor log_probs, const at::Tensor &ids, const at::Tensor &teacher, bool adds_tail,
                              const ct_distillation &kind, bool wants_gradient);

}  // namespace ct
