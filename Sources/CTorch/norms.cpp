#include "norms.h"

#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "fused.h"
#include "row_access.h"

namespace {

using ct::for_rows;
using ct::Norm;
using ct::row_count;
using ct::Rows;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// One row normed: its mean (0 in RMSNorm) and 1/√(variance + eps).
struct Scale {
  float mean, inverse;

  Scale(const float *row, int64_t n, bool centred, float eps)
      : mean(centred ? ct::rows::sum(row, n) / static_cast<float>(n) : 0),
        inverse(1 / std::sqrt(ct::rows::spread(row, mean, n) / static_cast<float>(n) + eps)) {}
  Scale(const float *kept) : mean(kept[0]), inverse(kept[1]) {}
};

/// s = x + delta and the norm of s.
///
/// Backward, with x̂ = (s − mean)·r, g the gradient of the norm times the gain, and h that of s:
/// ds = h + r·(g − mean(g) − x̂·mean(g∘x̂)), where mean(g) is there in LayerNorm only; dx = d delta = ds.
struct SumAndNorm : torch::autograd::Function<SumAndNorm> {
  static variable_list forward(AutogradContext *ctx, const at::Tensor &x, const std::optional<at::Tensor> &delta, const at::Tensor &weight,
                               const std::optional<at::Tensor> &bias, double eps) {
    ctx->set_materialize_grads(false);
    const int64_t n = x.size(-1), rows = row_count(x, n);
    const bool centred = bias.has_value();
    const auto sum = delta ? at::empty_like(x) : x;
    const auto out = at::empty_like(x);
    const auto scales = at::empty({rows, 2}, x.options().dtype(at::kFloat));
    const auto wide_weight = weight.to(at::kFloat), wide_bias = bias ? bias->to(at::kFloat) : at::Tensor();
    const float *gain = wide_weight.const_data_ptr<float>(), *offset = centred ? wide_bias.const_data_ptr<float>() : nullptr;
    float *kept = scales.data_ptr<float>();
    const Rows in(x, n), added(delta ? *delta : x, n), total(sum, n), result(out, n);
    for_rows(rows, n, 4, [&](int64_t begin, int64_t end, float *scratch) {
      for (int64_t row = begin; row < end; ++row) {
        const float *source = in.read(row, scratch);
        if (delta) source = add(source, added.read(row, scratch + n), total, row, scratch + 2 * n, n);
        const Scale scale(source, n, centred, static_cast<float>(eps));
        kept[2 * row] = scale.mean;
        kept[2 * row + 1] = scale.inverse;
        float *target = result.target(row, scratch + 3 * n);
        ct::rows::scale_and_shift(source, scale.inverse, -scale.mean * scale.inverse, target, n);
        if (!centred && !result.wide()) round(target, scratch, n);  // the reference rounds before the gain
        ct::rows::multiply(target, gain, target, n);
        if (centred) ct::rows::add(offset, target, n);
        result.commit(row, target);
      }
    });
    ctx->save_for_backward({sum, weight, scales});
    ctx->saved_data["centred"] = centred;
    ctx->saved_data["adds"] = delta.has_value();
    return delta ? variable_list{sum, out} : variable_list{out};
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const bool centred = ctx->saved_data["centred"].toBool(), adds = ctx->saved_data["adds"].toBool();
    const auto above = adds && grads[0].defined() ? grads[0].contiguous() : at::Tensor();
    const auto grad = grads.back().defined() ? grads.back().contiguous() : at::Tensor();
    const size_t delta = adds ? 1 : 0;  // inputs that are tensors: x, delta if there is one, weight, bias if there is one
    at::Tensor dx = above, dw, db;
    if (grad.defined()) {
      if (ctx->needs_input_grad(0) || (adds && ctx->needs_input_grad(1))) dx = input_gradient(saved, grad, above, centred);
      if (ctx->needs_input_grad(1 + delta)) dw = weight_gradient(saved, grad);
      if (centred && ctx->needs_input_grad(2 + delta))
        db = grad.to(at::kFloat).reshape({-1, grad.size(-1)}).sum(0).to(saved[1].scalar_type());
    }
    return {dx, adds ? dx : at::Tensor(), dw, db, at::Tensor()};
  }

 private:
  /// The row of sums, kept in the tensor of sums as it is rounded there.
  static const float *add(const float *x, const float *delta, const Rows &total, int64_t row, float *scratch, int64_t n) {
    float *target = total.target(row, scratch);
    ct::rows::sum_of(x, delta, target, n);
    total.commit(row, target);
    return total.wide() ? target : total.read(row, scratch);
  }

  static void round(float *row, float *scratch, int64_t n) {
    auto *rounded = reinterpret_cast<uint16_t *>(scratch);
    ct::rows::narrow(row, rounded, n);
    ct::rows::widen(rounded, row, n);
  }

  static at::Tensor input_gradient(const variable_list &saved, const at::Tensor &grad, const at::Tensor &above, bool centred) {
    const auto &sum = saved[0];
    const int64_t n = sum.size(-1), rows = row_count(sum, n);
    const auto wide_weight = saved[1].to(at::kFloat);
    const float *gain = wide_weight.const_data_ptr<float>(), *kept = saved[2].const_data_ptr<float>();
    const auto out = at::empty_like(sum);
    const Rows in(sum, n), gradient(grad, n), residual(above.defined() ? above : grad, n), result(out, n);
    for_rows(rows, n, 4, [&](int64_t begin, int64_t end, float *scratch) {
      for (int64_t row = begin; row < end; ++row) {
        const float *source = in.read(row, scratch);
        const float *g = gradient.read(row, scratch + n);
        float *weighted = scratch + 2 * n, *target = result.target(row, scratch + 3 * n);
        ct::rows::multiply(g, gain, weighted, n);
        const Scale scale(kept + 2 * row);
        const float r = scale.inverse, mean = centred ? ct::rows::sum(weighted, n) / static_cast<float>(n) : 0;
        const float along = (ct::rows::dot(weighted, source, n) / static_cast<float>(n) - scale.mean * mean) * r * r * r;
        ct::rows::norm_gradient(weighted, r, source, along, target, n);
        if (centred) ct::rows::scale_and_shift(target, 1, scale.mean * along - r * mean, target, n);
        if (above.defined()) ct::rows::add(residual.read(row, scratch), target, n);
        result.commit(row, target);
      }
    });
    return out;
  }

  static at::Tensor weight_gradient(const variable_list &saved, const at::Tensor &grad) {
    const int64_t n = grad.size(-1);
    const auto scales = saved[2];
    const auto unit = (saved[0].to(at::kFloat).reshape({-1, n}) - scales.select(1, 0).unsqueeze(1)) * scales.select(1, 1).unsqueeze(1);
    return (grad.to(at::kFloat).reshape({-1, n}) * unit).sum(0).to(saved[1].scalar_type());
  }
};

/// The same out of libtorch's operations.
at::Tensor composed(const at::Tensor &x, const Norm &norm) {
  if (norm.bias) return at::layer_norm(x, norm.weight.sizes(), norm.weight, *norm.bias, norm.eps);
  const auto wide = x.to(at::kFloat);
  const auto normed = wide * at::rsqrt(wide.square().mean(-1, true) + norm.eps);
  return norm.weight * normed.to(x.scalar_type());
}

}  // namespace

ct::Normed ct::normed(const at::Tensor &x, const std::optional<at::Tensor> &delta, const Norm &norm) {
  const bool fused = fusable({x, delta.value_or(x), norm.weight, norm.bias.value_or(norm.weight)}) && x.dim() > 0;
  if (!fused) {
    const auto sum = delta ? x + *delta : x;
    return {sum, composed(sum, norm)};
  }
  const auto bias = norm.bias ? std::optional(norm.bias->contiguous()) : std::nullopt;
  const auto added = delta ? std::optional(delta->contiguous()) : std::nullopt;
  const auto outs = SumAndNorm::apply(x.contiguous(), added, norm.weight.contiguous(), bias, norm.eps);
  return {delta ? outs[0] : x, outs.back()};
}
