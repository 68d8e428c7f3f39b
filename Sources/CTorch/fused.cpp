#include "fused.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "ct_system.h"
#include "parallel.h"
#include "rows.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

thread_local bool enabled = true;

constexpr int64_t elements_per_task = 1 << 14;

/// Reads and writes rows of a contiguous float32 or bfloat16 tensor as float32, through a scratch row where it must.
class Rows {
 public:
  Rows(const at::Tensor &tensor, int64_t width)
      : data_(tensor.data_ptr()), width_(width), wide_(tensor.scalar_type() == at::kFloat) {}

  const float *read(int64_t row, float *scratch) const {
    if (wide_) return static_cast<const float *>(data_) + row * width_;
    ct::rows::widen(static_cast<const uint16_t *>(data_) + row * width_, scratch, width_);
    return scratch;
  }

  /// Where to build row `row` before `commit`.
  float *target(int64_t row, float *scratch) const {
    return wide_ ? static_cast<float *>(data_) + row * width_ : scratch;
  }

  void commit(int64_t row, const float *built) const {
    if (!wide_) ct::rows::narrow(built, static_cast<uint16_t *>(data_) + row * width_, width_);
  }

  bool wide() const { return wide_; }

 private:
  void *data_;
  int64_t width_;
  bool wide_;
};

/// Calls `body(begin, end, scratch)` over rows; scratch holds `count` rows of `width`, one set for each thread.
template <typename Body>
void for_rows(int64_t rows, int64_t width, int64_t count, Body &&body) {
  const int64_t grain = std::max<int64_t>(1, elements_per_task / std::max<int64_t>(width, 1));
  ct::parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(static_cast<size_t>(width * count));
    body(begin, end, scratch.data());
  });
}

/// The size of the last dimension; 1 for a single number.
int64_t row_width(const at::Tensor &tensor) { return tensor.dim() == 0 ? 1 : tensor.size(-1); }

/// The number of rows of `n` elements.
int64_t row_count(const at::Tensor &tensor, int64_t n) { return n == 0 ? 0 : tensor.numel() / n; }

struct RMSNorm : torch::autograd::Function<RMSNorm> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &x, const at::Tensor &weight, double eps) {
    const int64_t n = x.size(-1), rows = row_count(x, n);
    auto out = at::empty_like(x);
    auto rstd = at::empty({rows}, x.options().dtype(at::kFloat));
    const auto w = weight.to(at::kFloat);
    const Rows in(x, n), result(out, n);
    float *inverse = rstd.data_ptr<float>();
    const float *gain = w.data_ptr<float>();
    for_rows(rows, n, 3, [&](int64_t begin, int64_t end, float *scratch) {
      for (int64_t row = begin; row < end; ++row) {
        const float *source = in.read(row, scratch);
        inverse[row] = 1.0f / std::sqrt(ct::rows::sum_of_squares(source, n) / static_cast<float>(n) + static_cast<float>(eps));
        float *target = result.target(row, scratch + n);
        ct::rows::scale(source, inverse[row], target, n);
        if (!result.wide()) {  // the reference rounds before the gain
          auto *rounded = reinterpret_cast<uint16_t *>(scratch + 2 * n);
          ct::rows::narrow(target, rounded, n);
          ct::rows::widen(rounded, target, n);
        }
        ct::rows::multiply(target, gain, target, n);
        result.commit(row, target);
      }
    });
    ctx->save_for_backward({x, weight, rstd});
    return out;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    const int64_t n = x.size(-1), rows = row_count(x, n);
    const auto grad = grads[0].contiguous();
    const auto w = weight.to(at::kFloat);
    const bool wants_x = ctx->needs_input_grad(0), wants_weight = ctx->needs_input_grad(1);
    at::Tensor dx, dw;
    if (wants_x) {
      dx = at::empty_like(x);
      input_gradient(x, w, grad, saved[2], dx, n, rows);
    }
    if (wants_weight) {
      const auto normed = x.to(at::kFloat).reshape({rows, n}) * saved[2].unsqueeze(1);
      dw = (grad.to(at::kFloat).reshape({rows, n}) * normed).sum(0).to(weight.scalar_type());
    }
    return {dx, dw, at::Tensor()};
  }

  /// dx = r·(g∘w) − x·r³/n·Σ g∘w∘x, with r = 1/√(mean(x²) + eps).
  static void input_gradient(const at::Tensor &x, const at::Tensor &w, const at::Tensor &grad, const at::Tensor &rstd,
                             const at::Tensor &dx, int64_t n, int64_t rows) {
    const Rows in(x, n), gradient(grad, n), result(dx, n);
    const float *inverse = rstd.data_ptr<float>();
    const float *gain = w.data_ptr<float>();
    for_rows(rows, n, 4, [&](int64_t begin, int64_t end, float *scratch) {
      for (int64_t row = begin; row < end; ++row) {
        const float *source = in.read(row, scratch);
        const float *g = gradient.read(row, scratch + n);
        float *weighted = scratch + 2 * n;
        ct::rows::multiply(g, gain, weighted, n);
        const float r = inverse[row];
        const float c = r * r * r / static_cast<float>(n) * ct::rows::dot(weighted, source, n);
        float *target = result.target(row, scratch + 3 * n);
        ct::rows::norm_gradient(weighted, r, source, c, target, n);
        result.commit(row, target);
      }
    });
  }
};

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
                     [&](const at::Tensor &tensor) { return tensor.is_cpu() && tensor.scalar_type() == type; });
}

at::Tensor ct::fused_rms_norm(const at::Tensor &x, const at::Tensor &weight, double eps) {
  return RMSNorm::apply(x.contiguous(), weight.contiguous(), eps);
}

at::Tensor ct::composed_rms_norm(const at::Tensor &x, const at::Tensor &weight, double eps) {
  const auto wide = x.to(at::kFloat);
  const auto normed = wide * at::rsqrt(wide.square().mean(-1, true) + eps);
  return weight * normed.to(x.scalar_type());
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
