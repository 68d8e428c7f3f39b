#include "ct_linear.h"

#include <torch/csrc/autograd/custom_function.h>

#include "boundary.h"
#include "ct_system.h"
#include "dropout.h"
#include "few_rows.h"
#include "product.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A weight and how it is stored: [out, in], or [in, out] where `transposed`.
struct Weight {
  at::Tensor stored;
  bool transposed;

  int64_t outputs() const { return stored.size(transposed ? 1 : 0); }
  int64_t inputs() const { return stored.size(transposed ? 0 : 1); }
  /// W as [out, in].
  at::Tensor matrix() const { return transposed ? stored.t() : stored; }
};

/// x·Wᵀ + bias of a frozen projection. Nothing but the weight is kept for the backward pass.
struct FrozenLinear : torch::autograd::Function<FrozenLinear> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &x, const Weight &weight, const std::optional<at::Tensor> &bias) {
    ctx->save_for_backward({weight.stored});
    ctx->saved_data["transposed"] = weight.transposed;
    const auto offset = bias ? bias->to(at::kFloat).contiguous() : at::Tensor();
    return ct::product(x, ct::operand(weight.stored, !weight.transposed), at::kBFloat16, nullptr,
                       bias ? offset.data_ptr<float>() : nullptr);
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto stored = ctx->get_saved_variables()[0];
    const bool transposed = ctx->saved_data["transposed"].toBool();
    const auto grad = grads[0].contiguous();
    return {ct::product(grad, ct::operand(stored, transposed), at::kBFloat16), at::Tensor(), at::Tensor()};
  }
};

/// The products of a low-rank projection, on the tile unit or by libtorch in float32.
struct Engine {
  bool tiled;

  /// xd·Aᵀ, float32.
  at::Tensor low(const at::Tensor &x, const at::Tensor &a) const {
    return tiled ? ct::product(x, ct::operand(a, true), at::kFloat) : at::mm(x, a.t());
  }

  at::Tensor output(const at::Tensor &x, const Weight &weight, const std::optional<at::Tensor> &bias, const at::Tensor &low,
                    const at::Tensor &b, double scale) const {
    if (!tiled) {
      auto out = bias ? at::addmm(*bias, x, weight.matrix().t()) : at::mm(x, weight.matrix().t());
      return out.addmm_(low, b.t(), 1, scale);
    }
    const ct::SmallTerm term{ct::padded(low), ct::operand(b, true, static_cast<float>(scale)), {}};
    const auto offset = bias ? bias->to(at::kFloat).contiguous() : at::Tensor();
    return ct::product(x, ct::operand(weight.stored, !weight.transposed), at::kBFloat16, &term,
                       bias ? offset.data_ptr<float>() : nullptr);
  }

  /// s·g·B, float32: what reaches the output of A.
  at::Tensor upstream(const at::Tensor &grad, const at::Tensor &b, double scale) const {
    return tiled ? ct::product(grad, ct::operand(b, false, static_cast<float>(scale)), at::kFloat) : at::mm(grad, b).mul_(scale);
  }

  /// leftᵀ·right, summed over the rows of both; left [rows, r] is float32.
  at::Tensor over_rows(const at::Tensor &left, const at::Tensor &right) const {
    const auto turned = left.t();
    return tiled ? ct::product(ct::padded(turned), ct::operand(right, false), at::kFloat) : at::mm(turned, right);
  }

  at::Tensor input(const at::Tensor &grad, const Weight &weight, const at::Tensor &up, const at::Tensor &a,
                   const ct::Dropout &dropout) const {
    if (tiled) {
      const ct::SmallTerm term{ct::padded(up), ct::operand(a, false), dropout};
      return ct::product(grad, ct::operand(weight.stored, weight.transposed), at::kBFloat16, &term);
    }
    auto out = at::mm(grad, weight.matrix());
    return dropout.active() ? out.add_(ct::dropped(at::mm(up, a), dropout)) : out.addmm_(up, a);
  }
};

/// x·Wᵀ + bias + s·dropout(x)·Aᵀ·Bᵀ over a frozen weight.
///
/// Backward, with g the gradient of the result and u = s·g·B: dB = s·gᵀ·(dropout(x)·Aᵀ), dA = uᵀ·dropout(x),
/// dx = g·W + mask∘(u·A). Kept: x, the low-rank product [rows, r], and the key of the mask.
struct LowRankLinear : torch::autograd::Function<LowRankLinear> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &x, const at::Tensor &a, const at::Tensor &b, const Weight &weight,
                            const std::optional<at::Tensor> &bias, double scale, double share) {
    const Engine engine{ct::tiled(x)};
    const auto dropout = ct::draw_dropout(share);
    const auto low = engine.low(ct::dropped(x, dropout), a);
    ctx->save_for_backward({x, a, b, weight.stored, low});
    ctx->saved_data["transposed"] = weight.transposed;
    ctx->saved_data["tiled"] = engine.tiled;
    ctx->saved_data["scale"] = scale;
    ctx->saved_data["share"] = dropout.share;
    ctx->saved_data["key"] = static_cast<int64_t>(dropout.key);
    return engine.output(x, weight, bias, low, b, scale);
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &a = saved[1], &b = saved[2], &low = saved[4];
    const Weight weight{saved[3], ctx->saved_data["transposed"].toBool()};
    const Engine engine{ctx->saved_data["tiled"].toBool()};
    const double scale = ctx->saved_data["scale"].toDouble();
    const ct::Dropout dropout{static_cast<uint64_t>(ctx->saved_data["key"].toInt()), ctx->saved_data["share"].toDouble()};
    const auto grad = grads[0].contiguous();
    const auto up = engine.upstream(grad, b, scale);
    at::Tensor dx, da, db;
    if (ctx->needs_input_grad(0)) dx = engine.input(grad, weight, up, a, dropout);
    if (ctx->needs_input_grad(1)) da = engine.over_rows(up, ct::dropped(x, dropout));
    if (ctx->needs_input_grad(2)) db = engine.over_rows(low, grad).t().mul(scale);
    return {dx, da, db, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

/// The same out of libtorch's operations, for other devices and types, and where the weight is trained too.
at::Tensor composed(const at::Tensor &x, const at::Tensor &a, const at::Tensor &b, const Weight &weight,
                    const std::optional<at::Tensor> &bias, double scale, double share) {
  const auto input = share > 0 ? at::dropout(x, share, /*train=*/true) : x;
  const auto low = at::linear(input, a.to(x.scalar_type())) * scale;
  return at::linear(x, weight.matrix(), bias) + at::linear(low, b.to(x.scalar_type()));
}

/// A few rows without gradients: the base as fast as its weight can be read, the low-rank part in float32.
at::Tensor decoded(const at::Tensor &x, const at::Tensor &a, const at::Tensor &b, const ct::LinearWeight &weight, double scale) {
  const auto base = ct::few_rows_linears(x, {weight})[0];
  const auto low = at::linear(x.to(at::kFloat), a).mul_(scale);
  return at::linear(low, b).add_(base).to(x.scalar_type());
}

bool is_frozen(const Weight &weight, const std::optional<at::Tensor> &bias) {
  return !(at::GradMode::is_enabled() && (weight.stored.requires_grad() || (bias && bias->requires_grad())));
}

void check(const at::Tensor &x, const Weight &weight, const std::optional<at::Tensor> &bias) {
  TORCH_CHECK(weight.stored.dim() == 2 && x.dim() > 0 && x.size(-1) == weight.inputs(), "an input of ", x.sizes(),
              " for a weight [out, in] of [", weight.outputs(), ", ", weight.inputs(), "]");
  TORCH_CHECK(x.scalar_type() == weight.stored.scalar_type() && x.device() == weight.stored.device(), "an input of ",
              x.scalar_type(), " on ", x.device(), " for a weight of ", weight.stored.scalar_type(), " on ", weight.stored.device());
  if (bias) TORCH_CHECK(bias->dim() == 1 && bias->size(0) == weight.outputs(), "a bias of ", bias->sizes(), " for ", weight.outputs(), " outputs");
}

/// x as a matrix of rows.
at::Tensor rows_of(const at::Tensor &x) { return x.reshape({-1, x.size(-1)}).contiguous(); }

/// `rows` with the leading dimensions of `x`.
at::Tensor shaped(const at::Tensor &rows, const at::Tensor &x) {
  auto shape = x.sizes().vec();
  shape.back() = rows.size(1);
  return rows.view(shape);
}

/// Below this many rows a packed panel is not worth its making.
constexpr int64_t fewest_rows = 16;

}  // namespace

ct_status ct_linear(ct_tensor x, ct_tensor weight, bool transposed, ct_tensor bias, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto &input = ct::ref(x);
    const Weight stored{ct::ref(weight), transposed};
    const auto offset = ct::optional(bias);
    check(input, stored, offset);
    if (!transposed && ct::is_few_rows(input, {{stored.stored, {}, offset}}))
      return ct::few_rows_linears(input, {{stored.stored, {}, offset}})[0];
    const bool packs = ct::tiled(input) && is_frozen(stored, offset) && stored.stored.stride(1) == 1 &&
                       input.numel() >= fewest_rows * input.size(-1);
    if (!packs) return at::linear(input, stored.matrix(), offset);
    return shaped(FrozenLinear::apply(rows_of(input), stored, offset), input);
  });
}

ct_status ct_low_rank_linear(ct_tensor x, ct_tensor weight, bool transposed, ct_tensor bias, ct_tensor a, ct_tensor b,
                             double scale, double dropout, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto &input = ct::ref(x), &first = ct::ref(a), &second = ct::ref(b);
    const Weight stored{ct::ref(weight), transposed};
    const auto offset = ct::optional(bias);
    check(input, stored, offset);
    TORCH_CHECK(first.dim() == 2 && second.dim() == 2 && first.size(1) == stored.inputs() && second.size(0) == stored.outputs() &&
                    first.size(0) == second.size(1),
                "factors of ", first.sizes(), " and ", second.sizes(), " for a weight [out, in] of [", stored.outputs(), ", ",
                stored.inputs(), "]");
    TORCH_CHECK(first.scalar_type() == at::kFloat && second.scalar_type() == at::kFloat, "the factors are float32");
    TORCH_CHECK(dropout >= 0 && dropout < 1, "a dropout of ", dropout);
    if (!at::GradMode::is_enabled() && !transposed && dropout == 0 && ct::is_few_rows(input, {{stored.stored, {}, offset}}))
      return decoded(input, first, second, {stored.stored, {}, offset}, scale);
    const bool own = ct_fused_kernels() && input.is_cpu() && is_frozen(stored, offset) && stored.stored.stride(1) == 1 &&
                     (ct::tiled(input) || input.scalar_type() == at::kFloat) && input.numel() > 0;
    if (!own) return composed(input, first, second, stored, offset, scale, dropout);
    return shaped(
        LowRankLinear::apply(rows_of(input), first.contiguous(), second.contiguous(), stored, offset, scale, dropout), input);
  });
}
