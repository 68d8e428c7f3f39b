#include "fused.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "ct_system.h"
#include "rehearsal.h"
#include "row_access.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

using ct::elements_per_task;
using ct::for_rows;
using ct::row_count;
using ct::row_width;
using ct::Rows;

thread_local bool enabled = true;

/// Turns the first 2·R features of each head by ±angle; `sign` −1 undoes it, which is the gradient.
at::Tensor turn(const at::Tensor &x, const at::Tensor &cos, const at::Tensor &sin, float sign) {
  const int64_t tokens = x.size(0) * x.size(1), heads = x.size(2), n = x.size(3), r = cos.size(2);
  auto out = at::empty_like(x);
  const Rows in(x, n), result(out, n);
  const float *c = cos.data_ptr<float>(), *s = sin.data_ptr<float>();
  const int64_t grain = std::max<int64_t>(1, elements_per_task / std::max<int64_t>(1, heads * n));
  ct::parallel_for(tokens, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(static_cast<size_t>(2 * n + r));
    float *angle = scratch.data() + 2 * n;
    for (int64_t token = begin; token < end; ++token) {
      ct::rows::scale(s + token * r, sign, angle, r);
      for (int64_t row = token * heads; row < (token + 1) * heads; ++row) {
        const float *source = in.read(row, scratch.data());
        float *target = result.target(row, scratch.data() + n);
        ct::rows::rotate(source, source + r, c + token * r, angle, target, target + r, r);
        std::copy(source + 2 * r, source + n, target + 2 * r);
        result.commit(row, target);
      }
    }
  });
  return out;
}

struct Rotary : torch::autograd::Function<Rotary> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &x, const at::Tensor &cos, const at::Tensor &sin) {
    ctx->save_for_backward({cos, sin});
    return turn(x, cos, sin, 1);
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    return {turn(grads[0].contiguous(), saved[0], saved[1], -1), at::Tensor(), at::Tensor()};
  }
};

struct TanhGELU : torch::autograd::Function<TanhGELU> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &x) {
    ctx->save_for_backward({x});
    const int64_t n = row_width(x), rows = row_count(x, n);
    auto out = at::empty_like(x);
    const Rows in(x, n), result(out, n);
    for_rows(rows, n, 2, [&](int64_t begin, int64_t end, float *scratch) {
      for (int64_t row = begin; row < end; ++row) {
        float *target = result.target(row, scratch + n);
        ct::rows::gelu_tanh(in.read(row, scratch), target, n);
        result.commit(row, target);
      }
    });
    return out;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto x = ctx->get_saved_variables()[0];
    const int64_t n = row_width(x), rows = row_count(x, n);
    const auto grad = grads[0].contiguous();
    auto dx = at::empty_like(x);
    const Rows in(x, n), gradient(grad, n), result(dx, n);
    for_rows(rows, n, 3, [&](int64_t begin, int64_t end, float *scratch) {
      for (int64_t row = begin; row < end; ++row) {
        float *target = result.target(row, scratch + 2 * n);
        ct::rows::gelu_tanh_gradient(gradient.read(row, scratch), in.read(row, scratch + n), target, n);
        result.commit(row, target);
      }
    });
    return {dx};
  }
};

struct SwiGLU : torch::autograd::Function<SwiGLU> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &gate, const at::Tensor &up) {
    const int64_t n = row_width(gate), rows = row_count(gate, n);
    auto out = at::empty_like(gate);
    const Rows g(gate, n), u(up, n), result(out, n);
    for_rows(rows, n, 3, [&](int64_t begin, int64_t end, float *scratch) {
      for (int64_t row = begin; row < end; ++row) {
        float *target = result.target(row, scratch + 2 * n);
        ct::rows::swiglu(g.read(row, scratch), u.read(row, scratch + n), target, n);
        result.commit(row, target);
      }
    });
    ctx->save_for_backward({gate, up});
    return out;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &gate = saved[0], &up = saved[1];
    const int64_t n = row_width(gate), rows = row_count(gate, n);
    const auto grad = grads[0].contiguous();
    auto d_gate = at::empty_like(gate), d_up = at::empty_like(up);
    const Rows in(grad, n), g(gate, n), u(up, n), result_gate(d_gate, n), result_up(d_up, n);
    for_rows(rows, n, 5, [&](int64_t begin, int64_t end, float *scratch) {
      for (int64_t row = begin; row < end; ++row) {
        float *target_gate = result_gate.target(row, scratch + 3 * n), *target_up = result_up.target(row, scratch + 4 * n);
        ct::rows::swiglu_gradient(in.read(row, scratch), g.read(row, scratch + n), u.read(row, scratch + 2 * n), target_gate,
                                  target_up, n);
        result_gate.commit(row, target_gate);
        result_up.commit(row, target_up);
      }
    });
    return {d_gate, d_up};
  }
};

}  // namespace

bool ct_fused_kernels(void) { return enabled; }

void ct_set_fused_kernels(bool value) { enabled = value; }

bool ct::fusable(std::initializer_list<at::Tensor> tensors) {
  if (!enabled) return false;
  const auto type = tensors.begin()->scalar_type();
  if (type != at::kFloat && type != at::kBFloat16) return false;
  return std::all_of(tensors.begin(), tensors.end(),
                     [&](const at::Tensor &tensor) { return rehearsal::on_processor(tensor) && tensor.scalar_type() == type; });
}

at::Tensor ct::fused_rotary(const at::Tensor &x, const at::Tensor &cos, const at::Tensor &sin) {
  return Rotary::apply(x.contiguous(), cos.contiguous(), sin.contiguous());
}

at::Tensor ct::composed_rotary(const at::Tensor &x, const at::Tensor &cos, const at::Tensor &sin) {
  const int64_t r = cos.size(2);
  const auto c = cos.unsqueeze(2), s = sin.unsqueeze(2);
  const auto wide = x.to(at::kFloat);
  const auto lo = wide.narrow(3, 0, r), hi = wide.narrow(3, r, r);
  const auto rest = wide.narrow(3, 2 * r, wide.size(3) - 2 * r);
  return at::cat({lo * c - hi * s, hi * c + lo * s, rest}, 3).to(x.scalar_type());
}

at::Tensor ct::fused_gelu_tanh(const at::Tensor &x) { return TanhGELU::apply(x.contiguous()); }

at::Tensor ct::fused_swiglu(const at::Tensor &gate, const at::Tensor &up) {
  return SwiGLU::apply(gate.contiguous(), up.contiguous());
}
