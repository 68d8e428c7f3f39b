#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "ct_system.h"
#include "linear.h"
#include "linear_products.h"
#include "product.h"
#include "rehearsal.h"

namespace {

using ct::KeptLinear;
using ct::LinearWeight;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool has_update(const std::vector<LinearWeight> &weights) {
  return std::any_of(weights.begin(), weights.end(), [](const LinearWeight &weight) { return weight.update.has_value(); });
}

/// Whether the gradient of some number of these takes the input.
bool learns_from_input(const std::vector<LinearWeight> &weights) {
  return std::any_of(weights.begin(), weights.end(),
                     [](const LinearWeight &weight) { return weight.update || weight.numbers.requires_grad(); });
}

/// x, and behind it for each weight its numbers, bias, A and B, those there are: what may have gradients.
variable_list tensors(const at::Tensor &x, const std::vector<LinearWeight> &weights) {
  variable_list all{x};
  for (const auto &weight : weights) {
    all.push_back(weight.numbers);
    if (weight.bias) all.push_back(*weight.bias);
    if (weight.update) all.insert(all.end(), {weight.update->a, weight.update->b});
  }
  return all;
}

/// y_i = x·W_iᵀ + b_i + s_i·dropout(x)·A_iᵀ·B_iᵀ.
///
/// Backward, with g_i the gradient of y_i and u_i = s_i·g_i·B_i: dW_i = g_iᵀ·x, db_i = Σ g_i, dB_i = s_i·g_iᵀ·(dropout(x)·A_iᵀ),
/// dA_i = u_iᵀ·dropout(x), dx = Σ g_i·W_i + mask_i∘(u_i·A_i); of these, what is wanted. Kept: x where a gradient takes it, the
/// low-rank products [rows, r], the keys of the masks.
struct Linears : torch::autograd::Function<Linears> {
  /// `all` is what `tensors` gives.
  static variable_list forward(AutogradContext *ctx, at::TensorList all, const std::vector<LinearWeight> &weights, bool keeps_input) {
    ctx->set_materialize_grads(false);
    const auto &x = all[0];
    std::vector<ct::Dropout> dropouts;
    std::vector<at::Tensor> inputs;
    for (const auto &weight : weights) {
      dropouts.push_back(weight.update ? ct::draw_dropout(weight.update->dropout) : ct::Dropout{});
      inputs.push_back(ct::dropped(x, dropouts.back()));
    }
    const bool tiled = ct::tiled(x);
    const auto &products = tiled ? ct::tiled_linears() : ct::plain_linears();
    const auto lows = products.lows(inputs, weights);
    keep(ctx, keeps_input ? x : at::Tensor(), weights, lows, dropouts, tiled);
    return products.outputs(x, weights, lows);
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    for (auto &grad : grads)
      if (grad.defined()) grad = grad.contiguous();
    at::Tensor x;
    const auto kept = recall(ctx, x);
    std::vector<ct::LinearGradients> found(kept.size());
    const auto &products = ctx->saved_data["tiled"].toBool() ? ct::tiled_linears() : ct::plain_linears();
    variable_list out{products.gradients(x, kept, grads, ctx->needs_input_grad(0), found)};
    for (size_t i = 0; i < kept.size(); ++i) {
      const auto &weight = kept[i].weight;
      out.push_back(found[i].weight);
      if (weight.bias) out.push_back(found[i].bias);
      if (weight.update) out.insert(out.end(), {found[i].a, found[i].b});
    }
    out.insert(out.end(), {at::Tensor(), at::Tensor()});  // the weights, and whether to keep the input
    return out;
  }

 private:
  static void keep(AutogradContext *ctx, const at::Tensor &x, const std::vector<LinearWeight> &weights,
                   const std::vector<at::Tensor> &lows, const std::vector<ct::Dropout> &dropouts, bool tiled) {
    variable_list saved{x};
    std::vector<int64_t> keys;
    std::vector<double> settings;
    c10::List<c10::IValue> packed(c10::AnyType::get());
    for (size_t i = 0; i < weights.size(); ++i) {
      const auto &weight = weights[i];
      const auto none = ct::LowRank{{}, {}, 0, 0};
      const auto &update = weight.update ? *weight.update : none;
      saved.insert(saved.end(), {weight.numbers, weight.bias.value_or(at::Tensor()), update.a, update.b, lows[i]});
      keys.insert(keys.end(), {static_cast<int64_t>(dropouts[i].key), weight.transposed});
      settings.insert(settings.end(), {update.scale, dropouts[i].share});
      packed.push_back(weight.packed ? c10::IValue::make_capsule(weight.packed) : c10::IValue());
    }
    ctx->save_for_backward(saved);
    ctx->saved_data["keys"] = keys;
    ctx->saved_data["settings"] = settings;
    ctx->saved_data["tiled"] = tiled;
    ctx->saved_data["packed"] = packed;
  }

  static std::vector<KeptLinear> recall(AutogradContext *ctx, at::Tensor &x) {
    const auto saved = ctx->get_saved_variables();
    const auto keys = ctx->saved_data["keys"].toIntVector();
    const auto settings = ctx->saved_data["settings"].toDoubleVector();
    const auto packed = ctx->saved_data["packed"].toList();
    x = saved[0];
    std::vector<KeptLinear> kept;
    size_t place = 1;  // in the order of `tensors`
    for (size_t i = 0; 2 * i < keys.size(); ++i) {
      const auto *of = &saved[5 * i + 1];
      KeptLinear linear{{of[0], ct::packed_of(packed.get(i)), {}, keys[2 * i + 1] != 0, {}}, of[4], {static_cast<uint64_t>(keys[2 * i]), settings[2 * i + 1]}, {}};
      linear.learnt.weight = ctx->needs_input_grad(place++);
      if (of[1].defined()) {
        linear.weight.bias = of[1];
        linear.learnt.bias = ctx->needs_input_grad(place++);
      }
      if (of[2].defined()) {
        linear.weight.update = ct::LowRank{of[2], of[3], settings[2 * i], 0};
        linear.learnt.a = ctx->needs_input_grad(place++);
        linear.learnt.b = ctx->needs_input_grad(place++);
      }
      kept.push_back(std::move(linear));
    }
    return kept;
  }
};

/// Below this many rows a packed panel is not worth its making.
constexpr int64_t fewest_rows = 16;

}  // namespace

bool ct::in_one_go(const at::Tensor &x, const std::vector<LinearWeight> &weights) {
  if (!ct_fused_kernels() || !rehearsal::on_processor(x) || x.numel() == 0) return false;
  const bool tiles = tiled(x);
  if (!tiles && x.scalar_type() != at::kFloat) return false;
  const bool packed = std::any_of(weights.begin(), weights.end(), [](const LinearWeight &weight) { return bool(weight.packed); });
  // Plain products of float32 are libtorch's own anyway, and it adds up the gradients of a single one.
  if (!packed && !has_update(weights) && (tiles ? x.numel() < fewest_rows * x.size(-1) : weights.size() < 2)) return false;
  return std::all_of(weights.begin(), weights.end(),
                     [](const LinearWeight &weight) { return weight.packed || weight.numbers.stride(1) == 1; });
}

c10::intrusive_ptr<ct::PackedWeight> ct::packed_of(const c10::IValue &kept) {
  return kept.isNone() ? c10::intrusive_ptr<PackedWeight>()
                       : c10::static_intrusive_pointer_cast<PackedWeight>(kept.toCapsule());
}

std::vector<at::Tensor> ct::linears_in_one_go(const at::Tensor &x, const std::vector<LinearWeight> &weights) {
  const auto all = tensors(x, weights);
  return Linears::apply(at::TensorList(all), weights, learns_from_input(weights));
}
