#include "divergence.h"

#include <cmath>
#include <limits>

namespace {

/// Rows that are distributions over k + 1 classes, the last of them with what the k leave over, at least `least`.
at::Tensor with_tail(const at::Tensor &log_probs, const at::Tensor &left_over, double least) {
  return at::cat({log_probs, left_over.clamp_min(least).log().to(log_probs.scalar_type()).unsqueeze(1)}, 1);
}

/// What the probabilities of some tokens leave over, from their logarithms: computed in double, since it may be small.
at::Tensor left_over(const at::Tensor &log_probs) { return log_probs.to(at::kDouble).exp().sum(1).neg().add(1); }

/// The nearest float32 to a sum of 1 − 10⁻⁷: a teacher's numbers may add up to more than 1, since they are rounded.
constexpr double least_tail = 1e-7;

}  // namespace

ct::Divergence ct::divergence(at::Tensor student, at::Tensor teacher, const ct_distillation &kind, bool wants_gradient) {
  const auto s = student.exp(), t = teacher.exp();
  auto rows = at::zeros({student.size(0)}, student.options());
  // Each part but the forward one is Σ s·u, less what m and t make of it, and its gradient s·(u − Σ s·u).
  at::Tensor u;
  const auto take = [&](at::Tensor part, double weight) {
    if (!wants_gradient) return;
    if (u.defined()) u.add_(part, weight);
    else u = part.mul_(weight);
  };
  if (kind.forward != 0) rows.add_((t * (teacher - student)).sum(1), kind.forward);
  if (kind.jensen_shannon != 0) {
    const auto mixture = at::logaddexp(student + std::log1p(-kind.beta), teacher + std::log(kind.beta));
    rows.add_((t * (teacher - mixture)).sum(1), kind.jensen_shannon * kind.beta);
    auto part = student - mixture;
    rows.add_((s * part).sum(1), kind.jensen_shannon * (1 - kind.beta));
    take(std::move(part), kind.jensen_shannon * (1 - kind.beta));
  }
  if (kind.reverse != 0) {
    auto part = student.sub_(teacher);
    rows.add_((s * part).sum(1), kind.reverse);
    take(std::move(part), kind.reverse);
  }
  if (!wants_gradient) return {rows, {}};
  at::Tensor gradient;
  if (u.defined()) {
    const auto mean = (s * u).sum(1, true);
    gradient = u.sub_(mean).add_(kind.forward).mul_(s);
  } else {
    gradient = s.mul(kind.forward);
  }
  if (kind.forward != 0) gradient.sub_(t, kind.forward);
  return {rows, gradient};
}

ct::Divergence ct::divergence_of_some(at::Tensor log_probs, const at::Tensor &ids, const at::Tensor &teacher, bool adds_tail,
                                      const ct_distillation &kind, bool wants_gradient) {
  const auto own = log_probs.gather(1, ids);
  if (!adds_tail) {
    auto result = divergence(at::log_softmax(own, 1), at::log_softmax(teacher, 1), kind, wants_gradient);
    if (wants_gradient) result.gradient = at::zeros_like(log_probs).scatter_(1, ids, result.gradient);
    return result;
  }
  // The student's own tail is added up from its parts: 1 less the rest would leave nothing of a small one.
  auto tail = log_probs.exp_();
  tail.scatter_(1, ids, 0.0);
  const auto mass = tail.sum(1);
  auto result = divergence(with_tail(own, mass, std::numeric_limits<float>::min()), with_tail(teacher, left_over(teacher), least_tail),
                           kind, wants_gradient);
  if (!wants_gradient) return result;
  const auto k = ids.size(1);
  const auto of_tail = result.gradient.select(1, k) / mass.clamp_min(std::numeric_limits<float>::min());
  result.gradient = tail.mul_(of_tail.unsqueeze(1)).scatter_(1, ids, result.gradient.narrow(1, 0, k).contiguous());
  return result;
}
