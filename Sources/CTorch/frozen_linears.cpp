#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "ct_system.h"
#include "dropout.h"
#include "linear.h"
#include "product.h"

namespace {

using ct::LinearWeight;
using ct::Sum;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A projection in the backward pass: its weight, and what the forward pass kept.
struct Kept {
  LinearWeight weight;
  /// dropout(x)·Aᵀ [rows, r or more].
  at::Tensor low;
  ct::Dropout dropout;
  /// Whether A and B are to have gradients.
  bool wants_a, wants_b;
};

/// The gradients of the factors, and of the input.
struct Gradients {
  at::Tensor x;
  std::vector<at::Tensor> a, b;
};

bool has_update(const std::vector<LinearWeight> &weights) {
  return std::any_of(weights.begin(), weights.end(), [](const LinearWeight &weight) { return weight.update.has_value(); });
}

/// By libtorch's products, in the type of x.
struct Plain {
  static std::vector<at::Tensor> lows(const std::vector<at::Tensor> &inputs, const std::vector<LinearWeight> &weights) {
    std::vector<at::Tensor> lows(weights.size());
    for (size_t i = 0; i < weights.size(); ++i)
      if (weights[i].update) lows[i] = at::mm(inputs[i], weights[i].update->a.t());
    return lows;
  }

  static std::vector<at::Tensor> outputs(const at::Tensor &x, const std::vector<LinearWeight> &weights,
                                         const std::vector<at::Tensor> &lows) {
    std::vector<at::Tensor> outs;
    for (size_t i = 0; i < weights.size(); ++i) {
      const auto &w = weights[i];
      outs.push_back(w.bias ? at::addmm(*w.bias, x, w.matrix().t()) : at::mm(x, w.matrix().t()));
      if (w.update) outs.back().addmm_(lows[i], w.update->b.t(), 1, w.update->scale);
    }
    return outs;
  }

  static void gradients(const at::Tensor &x, const std::vector<Kept> &kept, const variable_list &grads, bool wants_x,
                        Gradients &out) {
    for (size_t i = 0; i < kept.size(); ++i) {
      if (!grads[i].defined()) continue;
      const auto &weight = kept[i].weight;
      if (wants_x) out.x = out.x.defined() ? out.x.addmm_(grads[i], weight.matrix()) : at::mm(grads[i], weight.matrix());
      if (!weight.update) continue;
      const auto up = at::mm(grads[i], weight.update->b).mul_(weight.update->scale);
      if (wants_x && kept[i].dropout.active()) out.x.add_(ct::dropped(at::mm(up, weight.update->a), kept[i].dropout));
      else if (wants_x) out.x.addmm_(up, weight.update->a);
      if (kept[i].wants_a) out.a[i] = at::mm(up.t(), ct::dropped(x, kept[i].dropout));
      if (kept[i].wants_b) out.b[i] = at::mm(grads[i].t(), kept[i].low).mul_(weight.update->scale);
    }
  }
};

/// On the tile unit: all products of a kind in one go, those of the input's gradient summed before they are rounded.
struct Tiled {
  static std::vector<at::Tensor> lows(const std::vector<at::Tensor> &inputs, const std::vector<LinearWeight> &weights) {
    std::vector<at::Tensor> lows(weights.size());
    std::vector<Sum> sums;
    for (size_t i = 0; i < weights.size(); ++i) {
      if (!weights[i].update) continue;
      const auto &a = weights[i].update->a;
      lows[i] = at::empty({inputs[i].size(0), ct::padded_size(a.size(0))}, inputs[i].options());
      sums.push_back({{{whole(inputs[i]), ct::operand(a, true)}}, lows[i]});
    }
    ct::add_up(sums);
    return lows;
  }

  static std::vector<at::Tensor> outputs(const at::Tensor &x, const std::vector<LinearWeight> &weights,
                                         const std::vector<at::Tensor> &lows) {
    const auto left = whole(x);
    std::vector<Sum> sums;
    std::vector<at::Tensor> outs;
    for (size_t i = 0; i < weights.size(); ++i) {
      const auto &w = weights[i];
      outs.push_back(at::empty({x.size(0), w.outputs()}, x.options()));
      Sum sum{{{left, ct::operand(w.numbers, !w.transposed)}}, outs.back()};
      if (w.update) sum.terms.push_back({lows[i], ct::operand(w.update->b, true, static_cast<float>(w.update->scale))});
      if (w.bias) sum.bias = w.bias->to(at::kFloat).contiguous();
      sums.push_back(std::move(sum));
    }
    ct::add_up(sums);
    return outs;
  }

  static void gradients(const at::Tensor &x, const std::vector<Kept> &kept, const variable_list &grads, bool wants_x,
                        Gradients &out) {
    const auto ups = upstream(kept, grads);
    std::vector<Sum> sums;
    Sum input;
    std::vector<at::Tensor> scratch;
    for (size_t i = 0; i < kept.size(); ++i) {
      if (!grads[i].defined()) continue;
      const auto &weight = kept[i].weight;
      const auto grad = whole(grads[i]);
      input.terms.push_back({grad, ct::operand(weight.numbers, weight.transposed)});
      if (!weight.update) continue;
      input.terms.push_back({ups[i], ct::operand(weight.update->a, false), kept[i].dropout});
      const auto wide = grad.options().dtype(at::kFloat);
      if (kept[i].wants_a) {
        scratch.push_back(ct::dropped(x, kept[i].dropout));
        out.a[i] = at::empty(weight.update->a.sizes(), wide);
        sums.push_back({{{ct::turned(ups[i]), ct::operand(scratch.back(), false)}}, out.a[i]});
      }
      if (!kept[i].wants_b) continue;
      out.b[i] = at::empty({weight.update->b.size(1), weight.update->b.size(0)}, wide);
      sums.push_back({{{ct::turned(kept[i].low), ct::operand(grads[i], false)}}, out.b[i]});
    }
    if (wants_x && !input.terms.empty()) {
      const auto &grad = input.terms[0].left;
      input.out = out.x = at::empty({grad.size(0), kept[0].weight.inputs()}, grad.options());
      sums.insert(sums.begin(), std::move(input));
    }
    ct::add_up(sums);
    for (size_t i = 0; i < kept.size(); ++i)
      if (out.b[i].defined()) out.b[i] = out.b[i].t().mul(kept[i].weight.update->scale);
  }

 private:
  /// s·g·B for each that has an update.
  static std::vector<at::Tensor> upstream(const std::vector<Kept> &kept, const variable_list &grads) {
    std::vector<at::Tensor> ups(kept.size());
    std::vector<Sum> sums;
    for (size_t i = 0; i < kept.size(); ++i) {
      if (!kept[i].weight.update || !grads[i].defined()) continue;
      const auto &update = *kept[i].weight.update;
      ups[i] = at::empty({grads[i].size(0), ct::padded_size(update.b.size(1))}, grads[i].options());
      sums.push_back({{{whole(grads[i]), ct::operand(update.b, false, static_cast<float>(update.scale))}}, ups[i]});
    }
    ct::add_up(sums);
    return ups;
  }

  /// The matrix with a depth that the unit takes.
  static at::Tensor whole(const at::Tensor &matrix) {
    return matrix.size(1) == ct::padded_size(matrix.size(1)) ? matrix : ct::padded(matrix);
  }
};

/// y_i = x·W_iᵀ + b_i + s_i·dropout(x)·A_iᵀ·B_iᵀ over frozen weights.
///
/// Backward, with g_i the gradient of y_i and u_i = s_i·g_i·B_i: dB_i = s_i·g_iᵀ·(dropout(x)·A_iᵀ), dA_i = u_iᵀ·dropout(x),
/// dx = Σ g_i·W_i + mask_i∘(u_i·A_i). Kept where there are updates: x, the low-rank products [rows, r], the keys of the masks.
struct FrozenLinears : torch::autograd::Function<FrozenLinears> {
  /// `learnt` is x, then A and B of each weight that has an update.
  static variable_list forward(AutogradContext *ctx, at::TensorList learnt, const std::vector<LinearWeight> &weights) {
    ctx->set_materialize_grads(false);
    const auto &x = learnt[0];
    std::vector<ct::Dropout> dropouts;
    std::vector<at::Tensor> inputs;
    for (const auto &weight : weights) {
      dropouts.push_back(weight.update ? ct::draw_dropout(weight.update->dropout) : ct::Dropout{});
      inputs.push_back(ct::dropped(x, dropouts.back()));
    }
    const bool tiled = ct::tiled(x);
    const auto lows = tiled ? Tiled::lows(inputs, weights) : Plain::lows(inputs, weights);
    keep(ctx, x, weights, lows, dropouts, tiled);
    return tiled ? Tiled::outputs(x, weights, lows) : Plain::outputs(x, weights, lows);
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    for (auto &grad : grads)
      if (grad.defined()) grad = grad.contiguous();
    at::Tensor x;
    const auto kept = recall(ctx, x);
    Gradients result{{}, std::vector<at::Tensor>(kept.size()), std::vector<at::Tensor>(kept.size())};
    const auto gradients = ctx->saved_data["tiled"].toBool() ? Tiled::gradients : Plain::gradients;
    gradients(x, kept, grads, ctx->needs_input_grad(0), result);
    variable_list out{result.x};
    for (size_t i = 0; i < kept.size(); ++i)
      if (kept[i].weight.update) out.insert(out.end(), {result.a[i], result.b[i]});
    out.emplace_back();  // the weights
    return out;
  }

 private:
  static void keep(AutogradContext *ctx, const at::Tensor &x, const std::vector<LinearWeight> &weights,
                   const std::vector<at::Tensor> &lows, const std::vector<ct::Dropout> &dropouts, bool tiled) {
    variable_list saved{has_update(weights) ? x : at::Tensor()};
    std::vector<int64_t> keys;
    std::vector<double> settings;
    for (size_t i = 0; i < weights.size(); ++i) {
      const auto &weight = weights[i];
      const auto none = ct::LowRank{{}, {}, 0, 0};
      const auto &update = weight.update ? *weight.update : none;
      saved.insert(saved.end(), {weight.numbers, update.a, update.b, lows[i]});
      keys.insert(keys.end(), {static_cast<int64_t>(dropouts[i].key), weight.transposed});
      settings.insert(settings.end(), {update.scale, dropouts[i].share});
    }
    ctx->save_for_backward(saved);
    ctx->saved_data["keys"] = keys;
    ctx->saved_data["settings"] = settings;
    ctx->saved_data["tiled"] = tiled;
  }

  static std::vector<Kept> recall(AutogradContext *ctx, at::Tensor &x) {
    const auto saved = ctx->get_saved_variables();
    const auto keys = ctx->saved_data["keys"].toIntVector();
    const auto settings = ctx->saved_data["settings"].toDoubleVector();
    x = saved[0];
    std::vector<Kept> kept;
    size_t learnt = 1;  // behind x come A and B of each that has them
    for (size_t i = 0; 2 * i < keys.size(); ++i) {
      LinearWeight weight{saved[4 * i + 1], {}, {}, keys[2 * i + 1] != 0, {}};
      const bool updated = saved[4 * i + 2].defined();
      if (updated) weight.update = ct::LowRank{saved[4 * i + 2], saved[4 * i + 3], settings[2 * i], 0};
      kept.push_back({weight, saved[4 * i + 4], {static_cast<uint64_t>(keys[2 * i]), settings[2 * i + 1]},
                      updated && ctx->needs_input_grad(learnt), updated && ctx->needs_input_grad(learnt + 1)});
      learnt += updated ? 2 : 0;
    }
    return kept;
  }
};

/// Below this many rows a packed panel is not worth its making.
constexpr int64_t fewest_rows = 16;

bool is_frozen(const LinearWeight &weight) {
  return !(at::GradMode::is_enabled() && (weight.numbers.requires_grad() || (weight.bias && weight.bias->requires_grad())));
}

}  // namespace

bool ct::are_frozen(const at::Tensor &x, const std::vector<LinearWeight> &weights) {
  if (!ct_fused_kernels() || !x.is_cpu() || x.numel() == 0) return false;
  const bool tiles = tiled(x);
  if (!tiles && x.scalar_type() != at::kFloat) return false;
  // Plain products of float32 are libtorch's own anyway, and it adds up the gradients of a single one.
  if (!has_update(weights) && (tiles ? x.numel() < fewest_rows * x.size(-1) : weights.size() < 2)) return false;
  return std::all_of(weights.begin(), weights.end(), [](const LinearWeight &weight) {
    return !weight.quantized() && weight.numbers.stride(1) == 1 && is_frozen(weight);
  });
}

std::vector<at::Tensor> ct::frozen_linears(const at::Tensor &x, const std::vector<LinearWeight> &weights) {
  variable_list learnt{x};
  for (const auto &weight : weights)
    if (weight.update) learnt.insert(learnt.end(), {weight.update->a, weight.update->b});
  return FrozenLinears::apply(at::TensorList(learnt), weights);
}
