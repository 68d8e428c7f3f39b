#include "ct_distill.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <utility>

#include "boundary.h"
#include "divergence.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A teacher's part of the rows, as tensors.
struct Teacher {
  at::Tensor hidden, weight, logits, ids, log_probs;
  std::optional<at::Tensor> bias;
  bool adds_tail;

  explicit Teacher(const ct_teacher &teacher)
      : hidden(some(teacher.hidden)), weight(some(teacher.weight)), logits(some(teacher.logits)), ids(some(teacher.ids)),
        log_probs(some(teacher.log_probs)), bias(ct::optional(teacher.bias)), adds_tail(teacher.adds_tail) {}

  void check(int64_t rows, int64_t vocabulary) const {
    const int given = hidden.defined() + logits.defined() + ids.defined();
    TORCH_CHECK(given == 1, "a teacher is given in ", given, " of three ways, not in one");
    if (hidden.defined()) {
      TORCH_CHECK(weight.defined() && hidden.dim() == 2 && weight.dim() == 2 && hidden.size(1) == weight.size(1),
                  "a teacher's hidden rows do not fit its head");
      TORCH_CHECK(hidden.size(0) == rows, hidden.size(0), " rows of a teacher for ", rows, " of the student");
      TORCH_CHECK(weight.size(0) == vocabulary, "a teacher of ", weight.size(0), " tokens for a student of ", vocabulary);
      if (bias) TORCH_CHECK(bias->dim() == 1 && bias->size(0) == vocabulary, "a teacher's bias of ", bias->sizes());
    } else if (logits.defined()) {
      TORCH_CHECK(logits.dim() == 2 && logits.size(0) == rows && logits.size(1) == vocabulary, "a teacher's logits ",
                  logits.sizes(), " for a student's [", rows, ", ", vocabulary, "]");
    } else {
      check_tokens(rows, vocabulary);
    }
  }

  /// The teacher of rows start ..< start + length.
  Teacher narrowed(int64_t start, int64_t length) const {
    Teacher part = *this;
    for (auto rows : {&Teacher::hidden, &Teacher::logits, &Teacher::ids, &Teacher::log_probs})
      if ((this->*rows).defined()) part.*rows = (this->*rows).narrow(0, start, length);
    return part;
  }

  /// How far the student is, from its log-probabilities at the temperature [n, V], which are given up.
  ct::Divergence of(at::Tensor student, const ct_distillation &kind, bool wants_gradient) const {
    if (ids.defined())
      return ct::divergence_of_some(std::move(student), ids.to(at::kLong), log_probs.to(at::kFloat), adds_tail, kind,
                                    wants_gradient);
    const auto own = (logits.defined() ? logits : at::linear(hidden, weight, bias)).to(at::kFloat);
    return ct::divergence(std::move(student), at::log_softmax(kind.temperature == 1 ? own : own / kind.temperature, 1), kind,
                          wants_gradient);
  }

 private:
  static at::Tensor some(ct_tensor handle) { return ct::optional(handle).value_or(at::Tensor()); }

  void check_tokens(int64_t rows, int64_t vocabulary) const {
    TORCH_CHECK(log_probs.defined() && ids.dim() == 2 && ids.sizes() == log_probs.sizes() && ids.size(0) == rows && ids.size(1) > 0,
                "a teacher's tokens do not fit their log-probabilities or the ", rows, " rows of the student");
    TORCH_CHECK(ids.size(1) + (adds_tail ? 1 : 0) <= vocabulary, ids.size(1), " tokens", adds_tail ? " and the rest" : "",
                " of a vocabulary of ", vocabulary);
    if (!ids.is_cpu() || ids.numel() == 0) return;  // a GPU would have to be waited for
    const auto [least, greatest] = ids.aminmax();
    TORCH_CHECK_INDEX(least.item<int64_t>() >= 0 && greatest.item<int64_t>() < vocabulary, "a teacher's tokens from ",
                      least.item<int64_t>(), " to ", greatest.item<int64_t>(), " for a vocabulary of ", vocabulary);
  }
};

/// What is summed over rows, and the gradient of the loss by the logits, where it was asked for.
struct Taught {
  double divergence = 0, cross_entropy = 0;
  at::Tensor gradient;
};

/// Logits [n, V] beside their teacher; they are given up.
Taught taught(at::Tensor logits, const Teacher &teacher, const at::Tensor &targets, const ct_distillation &kind,
              bool wants_gradient) {
  const auto target = targets.unsqueeze(1);
  const double rest = 1 - kind.share;
  logits = logits.to(at::kFloat);
  const auto plain = at::log_softmax(logits, 1);
  Taught result;
  result.cross_entropy = -plain.gather(1, target).sum(at::kDouble).item<double>();
  at::Tensor shares;
  if (wants_gradient && rest != 0) {
    shares = plain.exp().mul_(rest);
    shares.scatter_add_(1, target, at::full({1, 1}, -rest, shares.options()).expand_as(target));
  }
  if (kind.share != 0) {
    auto student = kind.temperature == 1 ? plain : at::log_softmax(logits.div(kind.temperature), 1);
    auto found = teacher.of(std::move(student), kind, wants_gradient);
    result.divergence = found.rows.sum(at::kDouble).item<double>();
    if (wants_gradient) {
      result.gradient = found.gradient.mul_(kind.share / kind.temperature);
      if (shares.defined()) result.gradient.add_(shares);
    }
  } else if (wants_gradient) {
    result.gradient = shares;
  }
  return result;
}

/// Sums as the caller gets them.
at::Tensor sums(const Taught &sum, const ct_distillation &kind, const at::TensorOptions &options) {
  const double loss = kind.share * sum.divergence + (1 - kind.share) * sum.cross_entropy;
  return at::tensor({loss, sum.divergence, sum.cross_entropy}, at::kDouble).to(options.dtype(at::kFloat));
}

/// What was made in the forward pass, times the gradient of the loss alone.
at::Tensor scaled(const at::Tensor &value, const at::Tensor &grad) {
  return value.defined() ? value.mul(grad[0]).to(value.scalar_type()) : value;
}

/// Both heads and the loss in one, some rows at a time.
struct LinearDistillation : torch::autograd::Function<LinearDistillation> {
  /// `recording` is whether gradients are wanted at all: inside this function libtorch has recording switched off.
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &hidden, const at::Tensor &weight,
                            const std::optional<at::Tensor> &bias, const Teacher &teacher, const at::Tensor &targets,
                            const ct_distillation &kind, int64_t chunk, bool recording) {
    const bool wants_hidden = recording && hidden.requires_grad(), wants_weight = recording && weight.requires_grad();
    const bool wants_bias = recording && bias && bias->requires_grad();
    at::Tensor d_hidden, d_weight, d_bias;
    if (wants_hidden) d_hidden = at::empty_like(hidden);
    if (wants_weight) d_weight = at::zeros(weight.sizes(), weight.options().dtype(at::kFloat));
    if (wants_bias) d_bias = at::zeros(bias->sizes(), bias->options().dtype(at::kFloat));
    Taught sum;
    for (int64_t start = 0; start < hidden.size(0); start += chunk) {
      const auto length = std::min(chunk, hidden.size(0) - start);
      const auto rows = hidden.narrow(0, start, length);
      const auto part = taught(at::linear(rows, weight, bias), teacher.narrowed(start, length), targets.narrow(0, start, length),
                               kind, wants_hidden || wants_weight || wants_bias);
      sum.divergence += part.divergence;
      sum.cross_entropy += part.cross_entropy;
      if (!part.gradient.defined()) continue;
      const auto narrow = part.gradient.to(weight.scalar_type());
      if (wants_hidden) d_hidden.narrow(0, start, length).copy_(at::mm(narrow, weight));
      if (wants_weight) d_weight.add_(at::mm(narrow.t(), rows.to(weight.scalar_type())));
      if (wants_bias) d_bias.add_(part.gradient.sum(0));
    }
    if (wants_weight) d_weight = d_weight.to(weight.scalar_type());
    if (wants_bias) d_bias = d_bias.to(bias->scalar_type());
    ctx->save_for_backward({d_hidden, d_weight, d_bias});
    return sums(sum, kind, hidden.options());
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    return {scaled(saved[0], grads[0]), scaled(saved[1], grads[0]), scaled(saved[2], grads[0]), {}, {}, {}, {}, {}};
  }
};

/// The loss of logits that are there.
struct LogitDistillation : torch::autograd::Function<LogitDistillation> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &logits, const Teacher &teacher, const at::Tensor &targets,
                            const ct_distillation &kind, bool recording) {
    const auto found = taught(logits, teacher, targets, kind, recording && logits.requires_grad());
    ctx->save_for_backward({found.gradient.defined() ? found.gradient.to(logits.scalar_type()) : found.gradient});
    return sums(found, kind, logits.options());
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    return {scaled(ctx->get_saved_variables()[0], grads[0]), {}, {}, {}, {}};
  }
};

void check(const ct_distillation &kind) {
  TORCH_CHECK(kind.temperature > 0, "a temperature of ", kind.temperature);
  TORCH_CHECK(kind.share >= 0 && kind.share <= 1, "a share of ", kind.share);
  TORCH_CHECK(kind.jensen_shannon == 0 || (kind.beta > 0 && kind.beta < 1), "a mixture with β = ", kind.beta);
}

void check(const at::Tensor &targets, int64_t rows, int64_t vocabulary) {
  TORCH_CHECK(targets.dim() == 1 && targets.size(0) == rows, targets.sizes(), " targets for ", rows, " rows");
  if (!targets.is_cpu() || rows == 0) return;  // a GPU would have to be waited for
  const auto [least, greatest] = targets.aminmax();
  TORCH_CHECK_INDEX(least.item<int64_t>() >= 0 && greatest.item<int64_t>() < vocabulary, "targets from ", least.item<int64_t>(),
                    " to ", greatest.item<int64_t>(), " for a vocabulary of ", vocabulary);
}

}  // namespace

ct_status ct_linear_distillation(ct_tensor hidden, ct_tensor weight, ct_tensor bias, ct_teacher teacher, ct_tensor targets,
                                 ct_distillation kind, int64_t chunk, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto &rows = ct::ref(hidden), &table = ct::ref(weight), &wanted = ct::ref(targets);
    auto offset = ct::optional(bias);
    TORCH_CHECK(rows.dim() == 2 && table.dim() == 2 && rows.size(1) == table.size(1), "hidden ", rows.sizes(),
                " does not fit a head of ", table.sizes());
    if (offset) {
      TORCH_CHECK(offset->dim() == 1 && offset->size(0) == table.size(0), "a bias of ", offset->sizes(), " for a head of ",
                  table.sizes());
      offset = offset->to(rows.scalar_type());
    }
    TORCH_CHECK(chunk > 0, "a chunk of ", chunk, " rows");
    check(kind);
    check(wanted, rows.size(0), table.size(0));
    Teacher from(teacher);
    from.check(rows.size(0), table.size(0));
    if (from.hidden.defined()) {
      from.weight = from.weight.to(from.hidden.scalar_type());
      if (from.bias) from.bias = from.bias->to(from.hidden.scalar_type());
    }
    return LinearDistillation::apply(rows, table.to(rows.scalar_type()), offset, from, wanted, kind, chunk,
                                     at::GradMode::is_enabled());
  });
}

ct_status ct_logit_distillation(ct_tensor logits, ct_teacher teacher, ct_tensor targets, ct_distillation kind, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto &scores = ct::ref(logits), &wanted = ct::ref(targets);
    TORCH_CHECK(scores.dim() == 2, "logits ", scores.sizes(), " are no rows");
    check(kind);
    check(wanted, scores.size(0), scores.size(1));
    const Teacher from(teacher);
    from.check(scores.size(0), scores.size(1));
    return LogitDistillation::apply(scores, from, wanted, kind, at::GradMode::is_enabled());
  });
}
