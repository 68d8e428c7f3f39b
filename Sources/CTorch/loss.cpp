#include "ct_loss.h"

#include <torch/csrc/autograd/custom_function.h>

#include "boundary.h"
#include "product.h"
#include "vocabulary.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Each value of a row times that row's number, in the values' own type.
at::Tensor scaled_rows(const at::Tensor &values, const at::Tensor &scales) {
  return values.mul(scales.unsqueeze(1)).to(values.scalar_type());
}

/// The log-probabilities of targets panel by panel: the gradient of the hidden rows is made in the forward pass, but for each row's
/// own factor, that of the weight, where it is wanted, in the backward pass.
struct PanelLogProbs : torch::autograd::Function<PanelLogProbs> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &hidden, const at::Tensor &weight, const at::Tensor &targets,
                            bool recording) {
    const bool wants_weight = recording && weight.requires_grad();
    const auto result = ct::vocabulary_log_probs(hidden, weight, targets, recording && hidden.requires_grad());
    if (wants_weight) ctx->save_for_backward({result.d_hidden, hidden, weight, targets, result.log_sums});
    else ctx->save_for_backward({result.d_hidden});
    return result.log_probs;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    at::Tensor d_hidden, d_weight;
    if (saved[0].defined()) d_hidden = scaled_rows(saved[0], grads[0]);
    if (saved.size() > 1 && ctx->needs_input_grad(1))
      d_weight = ct::vocabulary_weight_gradient(saved[1], saved[2], saved[3], saved[4], grads[0]);
    return {d_hidden, d_weight, at::Tensor(), at::Tensor()};
  }
};

/// Head and log-probabilities in one, some rows at a time. The gradient of the hidden rows is made while their logits exist, those of
/// weight and bias in the backward pass, from logits that are made again.
struct LinearLogProbs : torch::autograd::Function<LinearLogProbs> {
  /// One-hot of the targets − softmax, from log-probabilities [n, V] that are given up.
  static at::Tensor differences(at::Tensor log_probs, const at::Tensor &targets) {
    auto shares = log_probs.exp_().neg_();
    shares.scatter_add_(1, targets, at::ones({1, 1}, shares.options()).expand_as(targets));
    return shares;
  }

  static at::Tensor log_probs(const at::Tensor &rows, const at::Tensor &weight, const std::optional<at::Tensor> &bias) {
    return at::log_softmax(at::linear(rows, weight, bias).to(at::kFloat), 1);
  }

  /// `recording` is whether gradients are wanted at all: inside this function libtorch has recording switched off.
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &hidden, const at::Tensor &weight,
                            const std::optional<at::Tensor> &bias, const at::Tensor &targets, int64_t chunk, bool recording) {
    const bool wants_hidden = recording && hidden.requires_grad();
    const bool wants_rest = recording && (weight.requires_grad() || (bias && bias->requires_grad()));
    at::Tensor d_hidden;
    if (wants_hidden) d_hidden = at::empty_like(hidden);
    auto result = at::empty({hidden.size(0)}, hidden.options().dtype(at::kFloat));
    for (int64_t start = 0; start < hidden.size(0); start += chunk) {
      const auto length = std::min(chunk, hidden.size(0) - start);
      const auto target = targets.narrow(0, start, length).unsqueeze(1);
      const auto each = log_probs(hidden.narrow(0, start, length), weight, bias);
      result.narrow(0, start, length).copy_(each.gather(1, target).squeeze(1));
      if (wants_hidden)
        d_hidden.narrow(0, start, length).copy_(at::mm(differences(each, target).to(weight.scalar_type()), weight));
    }
    ctx->saved_data["chunk"] = chunk;
    if (wants_rest) ctx->save_for_backward({d_hidden, hidden, weight, bias.value_or(at::Tensor()), targets});
    else ctx->save_for_backward({d_hidden});
    return result;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    at::Tensor d_hidden, d_weight, d_bias;
    if (saved[0].defined()) d_hidden = scaled_rows(saved[0], grads[0]);
    if (saved.size() > 1) {
      const auto &hidden = saved[1], &weight = saved[2], &bias = saved[3], &targets = saved[4];
      const auto chunk = ctx->saved_data["chunk"].toInt();
      d_weight = at::zeros(weight.sizes(), weight.options().dtype(at::kFloat));
      if (bias.defined()) d_bias = at::zeros(bias.sizes(), bias.options().dtype(at::kFloat));
      for (int64_t start = 0; start < hidden.size(0); start += chunk) {
        const auto length = std::min(chunk, hidden.size(0) - start);
        const auto rows = hidden.narrow(0, start, length);
        const auto each = log_probs(rows, weight, bias.defined() ? std::optional(bias) : std::nullopt);
        const auto d_logits = differences(each, targets.narrow(0, start, length).unsqueeze(1))
                                  .mul_(grads[0].narrow(0, start, length).unsqueeze(1));
        d_weight.add_(at::mm(d_logits.to(weight.scalar_type()).t(), rows.to(weight.scalar_type())));
        if (d_bias.defined()) d_bias.add_(d_logits.sum(0));
      }
      d_weight = d_weight.to(weight.scalar_type());
      if (d_bias.defined()) d_bias = d_bias.to(bias.scalar_type());
    }
    return {d_hidden, d_weight, d_bias, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

/// Head and cross-entropy in one: the gradients are made while a chunk's logits exist, and only scaled in the backward pass.
struct LinearCrossEntropy : torch::autograd::Function<LinearCrossEntropy> {
  /// `recording` is whether gradients are wanted at all: inside this function libtorch has recording switched off.
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &hidden, const at::Tensor &weight,
                            const std::optional<at::Tensor> &bias, const at::Tensor &targets, int64_t chunk, bool recording) {
    const bool wants_hidden = recording && hidden.requires_grad(), wants_weight = recording && weight.requires_grad();
    const bool wants_bias = recording && bias && bias->requires_grad();
    at::Tensor d_hidden, d_weight, d_bias;
    if (wants_hidden) d_hidden = at::empty_like(hidden);
    if (wants_weight) d_weight = at::zeros(weight.sizes(), weight.options().dtype(at::kFloat));
    if (wants_bias) d_bias = at::zeros(bias->sizes(), bias->options().dtype(at::kFloat));
    auto loss = at::zeros({}, hidden.options().dtype(at::kFloat));
    for (int64_t start = 0; start < hidden.size(0); start += chunk) {
      const auto length = std::min(chunk, hidden.size(0) - start);
      const auto rows = hidden.narrow(0, start, length);
      const auto target = targets.narrow(0, start, length).unsqueeze(1);
      auto logits = at::linear(rows, weight, bias).to(at::kFloat);
      auto log_probs = at::log_softmax(logits, 1);
      loss.sub_(log_probs.gather(1, target).sum());
      if (!wants_hidden && !wants_weight && !wants_bias) continue;
      auto d_logits = log_probs.exp_();
      d_logits.scatter_add_(1, target, at::full({1, 1}, -1.0, d_logits.options()).expand({length, 1}));
      const auto narrow = d_logits.to(weight.scalar_type());
      if (wants_hidden) d_hidden.narrow(0, start, length).copy_(at::mm(narrow, weight));
      if (wants_weight) d_weight.add_(at::mm(narrow.t(), rows.to(weight.scalar_type())));
      if (wants_bias) d_bias.add_(d_logits.sum(0));
    }
    if (wants_weight) d_weight = d_weight.to(weight.scalar_type());
    if (wants_bias) d_bias = d_bias.to(bias->scalar_type());
    ctx->save_for_backward({d_hidden, d_weight, d_bias});
    return loss;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto scaled = [&](const at::Tensor &value) {
      return value.defined() ? value.mul(grads[0]).to(value.scalar_type()) : value;
    };
    return {scaled(saved[0]), scaled(saved[1]), scaled(saved[2]), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

namespace {

/// What both operations take, checked.
struct Head {
  const at::Tensor &rows, &table, &targets;
  std::optional<at::Tensor> bias;

  Head(ct_tensor hidden, ct_tensor weight, ct_tensor offset, ct_tensor wanted, int64_t chunk)
      : rows(ct::ref(hidden)), table(ct::ref(weight)), targets(ct::ref(wanted)), bias(ct::optional(offset)) {
    TORCH_CHECK(rows.dim() == 2 && table.dim() == 2 && rows.size(1) == table.size(1), "hidden ", rows.sizes(),
                " does not fit a head of ", table.sizes());
    TORCH_CHECK(targets.dim() == 1 && targets.size(0) == rows.size(0), targets.sizes(), " targets for ", rows.size(0), " rows");
    if (bias)
      TORCH_CHECK(bias->dim() == 1 && bias->size(0) == table.size(0), "a bias of ", bias->sizes(), " for a head of ",
                  table.sizes());
    TORCH_CHECK(chunk > 0, "a chunk of ", chunk, " rows");
    if (targets.is_cpu() && targets.numel() > 0) {  // a GPU would have to be waited for
      const auto [least, greatest] = targets.aminmax();
      TORCH_CHECK_INDEX(least.item<int64_t>() >= 0 && greatest.item<int64_t>() < table.size(0), "targets from ",
                        least.item<int64_t>(), " to ", greatest.item<int64_t>(), " for a vocabulary of ", table.size(0));
    }
    if (bias) bias = bias->to(rows.scalar_type());
  }

  /// Whether the panels' kernel takes it.
  bool is_tiled() const { return !bias && ct::tiled(rows) && table.stride(1) == 1; }

  at::Tensor panel_log_probs() const {
    return PanelLogProbs::apply(rows.contiguous(), table, targets.contiguous(), at::GradMode::is_enabled());
  }
};

}  // namespace

ct_status ct_linear_cross_entropy(ct_tensor hidden, ct_tensor weight, ct_tensor bias, ct_tensor targets, int64_t chunk,
                                  ct_tensor *out) {
  return ct::produce(out, [&] {
    const Head head(hidden, weight, bias, targets, chunk);
    // The sum of many numbers is made in double.
    if (head.is_tiled()) return head.panel_log_probs().sum(at::kDouble).neg().to(at::kFloat);
    return LinearCrossEntropy::apply(head.rows, head.table.to(head.rows.scalar_type()), head.bias, head.targets, chunk,
                                     at::GradMode::is_enabled());
  });
}

ct_status ct_linear_log_probs(ct_tensor hidden, ct_tensor weight, ct_tensor bias, ct_tensor targets, int64_t chunk,
                              ct_tensor *out) {
  return ct::produce(out, [&] {
    const Head head(hidden, weight, bias, targets, chunk);
    if (head.is_tiled()) return head.panel_log_probs();
    return LinearLogProbs::apply(head.rows, head.table.to(head.rows.scalar_type()), head.bias, head.targets, chunk,
                                 at::GradMode::is_enabled());
  });
}

ct_status ct_token_log_probs(ct_tensor logits, ct_tensor targets, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto wide = ct::ref(logits).to(at::kFloat);
    return at::log_softmax(wide, -1).gather(-1, ct::ref(targets).unsqueeze(-1)).squeeze(-1);
  });
}
