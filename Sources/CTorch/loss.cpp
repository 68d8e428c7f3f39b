#include "ct_loss.h"

#include <torch/csrc/autograd/custom_function.h>

#include "boundary.h"
#include "product.h"
#include "vocabulary.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Head and cross-entropy panel by panel: the gradient of the hidden rows is made in the forward pass, that of the weight, where it
/// is wanted, in the backward pass.
struct PanelCrossEntropy : torch::autograd::Function<PanelCrossEntropy> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &hidden, const at::Tensor &weight, const at::Tensor &targets,
                            bool recording) {
    const bool wants_weight = recording && weight.requires_grad();
    const auto result = ct::vocabulary_loss(hidden, weight, targets, recording && hidden.requires_grad());
    if (wants_weight) ctx->save_for_backward({result.d_hidden, hidden, weight, targets, result.log_sums});
    else ctx->save_for_backward({result.d_hidden});
    return result.loss;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    at::Tensor d_hidden, d_weight;
    if (saved[0].defined()) d_hidden = saved[0].mul(grads[0]).to(saved[0].scalar_type());
    if (saved.size() > 1 && ctx->needs_input_grad(1))
      d_weight = ct::vocabulary_weight_gradient(saved[1], saved[2], saved[3], saved[4], grads[0].item<float>());
    return {d_hidden, d_weight, at::Tensor(), at::Tensor()};
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

ct_status ct_linear_cross_entropy(ct_tensor hidden, ct_tensor weight, ct_tensor bias, ct_tensor targets, int64_t chunk,
                                  ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto &rows = ct::ref(hidden), &table = ct::ref(weight), &wanted = ct::ref(targets);
    TORCH_CHECK(rows.dim() == 2 && table.dim() == 2 && rows.size(1) == table.size(1), "hidden ", rows.sizes(),
                " does not fit a head of ", table.sizes());
    TORCH_CHECK(wanted.dim() == 1 && wanted.size(0) == rows.size(0), wanted.sizes(), " targets for ", rows.size(0), " rows");
    const auto offset = ct::optional(bias);
    if (offset)
      TORCH_CHECK(offset->dim() == 1 && offset->size(0) == table.size(0), "a bias of ", offset->sizes(), " for a head of ",
                  table.sizes());
    TORCH_CHECK(chunk > 0, "a chunk of ", chunk, " rows");
    if (wanted.is_cpu() && wanted.numel() > 0) {  // a GPU would have to be waited for
      const auto [least, greatest] = wanted.aminmax();
      TORCH_CHECK_INDEX(least.item<int64_t>() >= 0 && greatest.item<int64_t>() < table.size(0), "targets from ", least.item<int64_t>(),
                  " to ", greatest.item<int64_t>(), " for a vocabulary of ", table.size(0));
    }
    const bool recording = at::GradMode::is_enabled();
    if (!offset && ct::tiled(rows) && table.stride(1) == 1)
      return PanelCrossEntropy::apply(rows.contiguous(), table, wanted.contiguous(), recording);
    const auto type = rows.scalar_type();
    const auto shift = offset ? std::optional(offset->to(type)) : std::nullopt;
    return LinearCrossEntropy::apply(rows, table.to(type), shift, wanted, chunk, recording);
  });
}

ct_status ct_token_log_probs(ct_tensor logits, ct_tensor targets, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto wide = ct::ref(logits).to(at::kFloat);
    return at::log_softmax(wide, -1).gather(-1, ct::ref(targets).unsqueeze(-1)).squeeze(-1);
  });
}
