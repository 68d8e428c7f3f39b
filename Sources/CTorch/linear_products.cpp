#include "linear_products.h"

#include "product.h"

namespace {

using ct::KeptLinear;
using ct::LinearGradients;
using ct::LinearWeight;
using ct::Sum;

/// x·Wᵀ.
at::Tensor forward_product(const at::Tensor &x, const LinearWeight &w) {
  return w.packed ? ct::times_packed_transposed(x, *w.packed) : at::mm(x, w.matrix().t());
}

/// Adds g·W to dx, where there is one yet.
void add_backward_product(at::Tensor &dx, const at::Tensor &grad, const LinearWeight &w) {
  if (!w.packed && dx.defined()) {
    dx.addmm_(grad, w.matrix());
    return;
  }
  const auto product = w.packed ? ct::times_packed(grad, *w.packed) : at::mm(grad, w.matrix());
  dx = dx.defined() ? dx.add_(product) : product;
}

struct Plain final : ct::LinearProducts {
  std::vector<at::Tensor> lows(const std::vector<at::Tensor> &inputs, const std::vector<LinearWeight> &weights) const override {
    std::vector<at::Tensor> lows(weights.size());
    for (size_t i = 0; i < weights.size(); ++i)
      if (weights[i].update) lows[i] = at::mm(inputs[i], weights[i].update->a.t());
    return lows;
  }

  std::vector<at::Tensor> outputs(const at::Tensor &x, const std::vector<LinearWeight> &weights,
                                  const std::vector<at::Tensor> &lows) const override {
    std::vector<at::Tensor> outs;
    for (size_t i = 0; i < weights.size(); ++i) {
      const auto &w = weights[i];
      outs.push_back(w.bias && !w.packed ? at::addmm(*w.bias, x, w.matrix().t()) : forward_product(x, w));
      if (w.bias && w.packed) outs.back().add_(*w.bias);
      if (w.update) outs.back().addmm_(lows[i], w.update->b.t(), 1, w.update->scale);
    }
    return outs;
  }

  at::Tensor gradients(const at::Tensor &x, const std::vector<KeptLinear> &kept, const std::vector<at::Tensor> &grads, bool wants_x,
                       std::vector<LinearGradients> &found) const override {
    at::Tensor dx;
    for (size_t i = 0; i < kept.size(); ++i) {
      if (!grads[i].defined()) continue;
      const auto &weight = kept[i].weight;
      const auto &learnt = kept[i].learnt;
      if (wants_x) add_backward_product(dx, grads[i], weight);
      if (learnt.weight) found[i].weight = weight.transposed ? at::mm(x.t(), grads[i]) : at::mm(grads[i].t(), x);
      if (learnt.bias) found[i].bias = grads[i].sum(0);
      if (!weight.update) continue;
      const auto up = at::mm(grads[i], weight.update->b).mul_(weight.update->scale);
      if (wants_x && kept[i].dropout.active()) dx.add_(ct::dropped(at::mm(up, weight.update->a), kept[i].dropout));
      else if (wants_x) dx.addmm_(up, weight.update->a);
      if (learnt.a) found[i].a = at::mm(up.t(), ct::dropped(x, kept[i].dropout));
      if (learnt.b) found[i].b = at::mm(grads[i].t(), kept[i].low).mul_(weight.update->scale);
    }
    return dx;
  }
};

/// A weight as the right-hand side of x·Wᵀ (`transposed`) or of g·W.
ct::tiles::Operand right_side(const LinearWeight &w, bool transposed) {
  if (!w.packed) return ct::operand(w.numbers, transposed != w.transposed);
  const int64_t out = w.outputs(), in = w.inputs();
  return {nullptr, in, transposed ? in : out, transposed ? out : in, transposed, false, 1, &w.packed->matrix()};
}

/// The matrix with a depth that the unit takes.
at::Tensor whole(const at::Tensor &matrix) {
  return matrix.size(1) == ct::padded_size(matrix.size(1)) ? matrix : ct::padded(matrix);
}

struct Tiled final : ct::LinearProducts {
  std::vector<at::Tensor> lows(const std::vector<at::Tensor> &inputs, const std::vector<LinearWeight> &weights) const override {
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

  std::vector<at::Tensor> outputs(const at::Tensor &x, const std::vector<LinearWeight> &weights,
                                  const std::vector<at::Tensor> &lows) const override {
    const auto left = whole(x);
    std::vector<Sum> sums;
    std::vector<at::Tensor> outs;
    for (size_t i = 0; i < weights.size(); ++i) {
      const auto &w = weights[i];
      outs.push_back(at::empty({x.size(0), w.outputs()}, x.options()));
      Sum sum{{{left, right_side(w, true)}}, outs.back()};
      if (w.update) sum.terms.push_back({lows[i], ct::operand(w.update->b, true, static_cast<float>(w.update->scale))});
      if (w.bias) sum.bias = w.bias->to(at::kFloat).contiguous();
      sums.push_back(std::move(sum));
    }
    ct::add_up(sums);
    return outs;
  }

  at::Tensor gradients(const at::Tensor &x, const std::vector<KeptLinear> &kept, const std::vector<at::Tensor> &grads, bool wants_x,
                       std::vector<LinearGradients> &found) const override {
    const auto ups = upstream(kept, grads);
    std::vector<Sum> sums;
    Sum input;
    std::vector<at::Tensor> scratch;
    for (size_t i = 0; i < kept.size(); ++i) {
      if (!grads[i].defined()) continue;
      const auto &weight = kept[i].weight;
      input.terms.push_back({whole(grads[i]), right_side(weight, false)});
      if (kept[i].learnt.weight) sums.push_back(of_weight(x, weight, grads[i], found[i].weight));
      if (kept[i].learnt.bias) found[i].bias = at::sum(grads[i], {0}, false, at::kFloat);
      if (!weight.update) continue;
      input.terms.push_back({ups[i], ct::operand(weight.update->a, false), kept[i].dropout});
      const auto wide = grads[i].options().dtype(at::kFloat);
      if (kept[i].learnt.a) {
        scratch.push_back(ct::dropped(x, kept[i].dropout));
        found[i].a = at::empty(weight.update->a.sizes(), wide);
        sums.push_back({{{ct::turned(ups[i]), ct::operand(scratch.back(), false)}}, found[i].a});
      }
      if (!kept[i].learnt.b) continue;
      found[i].b = at::empty({weight.update->b.size(1), weight.update->b.size(0)}, wide);
      sums.push_back({{{ct::turned(kept[i].low), ct::operand(grads[i], false)}}, found[i].b});
    }
    if (wants_x && !input.terms.empty()) {
      const auto &grad = input.terms[0].left;
      input.out = at::empty({grad.size(0), kept[0].weight.inputs()}, grad.options());
      sums.insert(sums.begin(), input);
    }
    ct::add_up(sums);
    for (size_t i = 0; i < kept.size(); ++i)
      if (found[i].b.defined()) found[i].b = found[i].b.t().mul(kept[i].weight.update->scale);
    return input.out;
  }

 private:
  /// gᵀ·x, or xᵀ·g where the weight is stored so, as what `out` is filled with.
  static Sum of_weight(const at::Tensor &x, const LinearWeight &weight, const at::Tensor &grad, at::Tensor &out) {
    out = at::empty(weight.numbers.sizes(), weight.numbers.options());
    const auto &left = weight.transposed ? x : grad, &right = weight.transposed ? grad : x;
    return {{{ct::turned(left), ct::operand(right, false)}}, out};
  }

  /// s·g·B for each that has an update.
  static std::vector<at::Tensor> upstream(const std::vector<KeptLinear> &kept, const std::vector<at::Tensor> &grads) {
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
};

}  // namespace

const ct::LinearProducts &ct::tiled_linears() {
  static const Tiled products;
  return products;
}

const ct::LinearProducts &ct::plain_linears() {
  static const Plain products;
  return products;
}
