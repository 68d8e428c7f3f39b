#ifndef CT_DISTILL_H
#define CT_DISTILL_H

#include <stdbool.h>

#include "ct_tensor.h"

/// What a teacher says of N rows. One of three is given, the other handles are null: `hidden` and `weight`, of which logits are made
/// some rows at a time; `logits`; or `ids` and `log_probs`.
typedef struct {
  /// What its head takes [N, e], that head [V, e], and its bias [V], optional.
  ct_tensor hidden, weight, bias;
  /// Its logits [N, V].
  ct_tensor logits;
  /// Some tokens of each row [N, k], int32 or int64, no token twice, and ln p of them at the temperature, floating point.
  ct_tensor ids, log_probs;
  /// With `ids`: all other tokens are one class more. Where false, the k tokens are all there are.
  bool adds_tail;
} ct_teacher;

/// A loss of a student with probabilities s beside a teacher with probabilities t, both of logits / temperature:
/// share·(forward·KL(t‖s) + reverse·KL(s‖t) + jensen_shannon·JSD) + (1 − share)·cross-entropy, the last of logits as they are. With m =
/// beta·t + (1 − beta)·s, JSD = beta·KL(t‖m) + (1 − beta)·KL(s‖m).
typedef struct {
  double forward, reverse, jensen_shannon;
  double beta;
  double temperature;
  double share;
} ct_distillation;

/// Sums over the rows of `hidden` [N, d], float32: out [3] is the loss, the divergence in it and the cross-entropy in it, both without
/// their shares. A gradient comes through the first alone.
///
/// weight [V, d]; bias [V], optional; targets [N] int64. Logits of either model exist for `chunk` rows at a time, and the gradients of
/// `hidden`, and of `weight` and `bias` where they learn, are made along with them.
CT_API ct_status ct_linear_distillation(ct_tensor hidden, ct_tensor weight, ct_tensor bias, ct_teacher teacher, ct_tensor targets,
                                        ct_distillation kind, int64_t chunk, ct_tensor *out);

/// The same of logits [N, V] that are there.
CT_API ct_status ct_logit_distillation(ct_tensor logits, ct_teacher teacher, ct_tensor targets, ct_distillation kind,
                                       ct_tensor *out);

#endif
