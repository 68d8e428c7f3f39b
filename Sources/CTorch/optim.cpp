#include "ct_optim.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "boundary.h"
#include "clones.h"
#include "parallel.h"
#include "rows.h"
#include "vectors.h"

namespace {

/// Elements of a piece of work: what a sum of squares is made of does not depend on the number of threads.
constexpr int64_t piece_size = 1 << 15;

/// A range of elements of one of many tensors.
struct Piece {
  size_t tensor;
  int64_t first, count;
};

std::vector<Piece> pieces(const std::vector<at::Tensor> &tensors) {
  std::vector<Piece> all;
  for (size_t i = 0; i < tensors.size(); ++i)
    for (int64_t first = 0; first < tensors[i].numel(); first += piece_size)
      all.push_back({i, first, std::min(piece_size, tensors[i].numel() - first)});
  return all;
}

bool is_plain(const at::Tensor &tensor) {
  return tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

/// Calls `body(piece number, piece)` for each, several small ones to a thread at a time.
template <typename Body>
void for_pieces(const std::vector<Piece> &all, Body &&body) {
  int64_t elements = 0;
  for (const auto &piece : all) elements += piece.count;
  const auto count = static_cast<int64_t>(all.size());
  const int64_t grain = elements == 0 ? 1 : std::max<int64_t>(1, piece_size * count / elements);
  ct::parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(static_cast<size_t>(i), all[static_cast<size_t>(i)]);
  });
}

/// What a step does to every number: p = p·keep − rate·m / (√v / root + eps) with m and v the means of g·gradient_scale and its square.
struct Step {
  float beta1, beta2, eps, keep, rate, root, gradient_scale;

  Step(const ct_adamw_settings &given, double learning_rate)
      : beta1(static_cast<float>(given.beta1)), beta2(static_cast<float>(given.beta2)), eps(static_cast<float>(given.eps)),
        keep(static_cast<float>(1 - learning_rate * given.weight_decay)),
        rate(static_cast<float>(learning_rate / (1 - std::pow(given.beta1, given.step)))),
        root(static_cast<float>(std::sqrt(1 - std::pow(given.beta2, given.step)))),
        gradient_scale(static_cast<float>(given.gradient_scale)) {}
};

CT_CLONES void step_of_numbers(float *p, const float *g, float *m, float *v, const Step &s, int64_t n) {
  using namespace ct::vectors;
  for (int64_t i = 0; i < n; i += width) {
    Floats parameter, gradient, mean, square;
    load_some(p + i, n - i, parameter);
    load_some(g + i, n - i, gradient);
    load_some(m + i, n - i, mean);
    load_some(v + i, n - i, square);
    gradient *= s.gradient_scale;
    mean += (gradient - mean) * (1.0f - s.beta1);
    square = square * s.beta2 + gradient * gradient * (1.0f - s.beta2);
    parameter = parameter * s.keep - s.rate * mean / (__builtin_elementwise_sqrt(square) / s.root + s.eps);
    store_some(p + i, n - i, parameter);
    store_some(m + i, n - i, mean);
    store_some(v + i, n - i, square);
  }
}

struct AdamW {
  at::Tensor parameter, gradient, mean, square;
  Step s;

  AdamW(const ct_adamw_parameter &given, const ct_adamw_settings &settings)
      : parameter(ct::ref(given.parameter)), gradient(ct::ref(given.gradient)), mean(ct::ref(given.mean)),
        square(ct::ref(given.square)), s(settings, given.learning_rate) {
    for (const auto &tensor : {parameter, gradient, mean, square})
      TORCH_CHECK(tensor.scalar_type() == at::kFloat && tensor.sizes() == parameter.sizes(),
                  "AdamW takes four float32 tensors of one shape");
  }

  bool plain() const { return is_plain(parameter) && is_plain(gradient) && is_plain(mean) && is_plain(square); }

  /// By libtorch's operations, on any device.
  void step() const {
    const auto g = gradient * s.gradient_scale;
    parameter.mul_(s.keep);
    mean.lerp_(g, 1 - s.beta1);
    square.mul_(s.beta2).addcmul_(g, g, 1 - s.beta2);
    parameter.addcdiv_(mean, square.sqrt().div_(s.root).add_(s.eps), -s.rate);
  }
};

}  // namespace

ct_status ct_adamw(const ct_adamw_parameter *parameters, int64_t count, const ct_adamw_settings *settings) {
  return ct::guarded([&] {
    at::NoGradGuard frozen;
    TORCH_CHECK(settings != nullptr && (count == 0 || parameters != nullptr), "settings or a list of parameters are null");
    TORCH_CHECK(settings->step >= 1, "steps count from 1, not from ", settings->step);
    std::vector<AdamW> plain;
    std::vector<at::Tensor> sizes;
    for (const auto *given = parameters; given != parameters + count; ++given) {
      AdamW one(*given, *settings);
      if (!one.plain()) {
        one.step();
        continue;
      }
      sizes.push_back(one.parameter);
      plain.push_back(std::move(one));
    }
    for_pieces(pieces(sizes), [&](size_t, const Piece &piece) {
      const auto &one = plain[piece.tensor];
      step_of_numbers(one.parameter.data_ptr<float>() + piece.first, one.gradient.const_data_ptr<float>() + piece.first,
                      one.mean.data_ptr<float>() + piece.first, one.square.data_ptr<float>() + piece.first, one.s, piece.count);
    });
  });
}

ct_status ct_norm_of_all(const ct_tensor *tensors, int64_t count, double *out) {
  return ct::guarded([&] {
    at::NoGradGuard frozen;
    ct::check_out(out);
    TORCH_CHECK(count == 0 || tensors != nullptr, "a list of tensors is null");
    double sum = 0;
    std::vector<at::Tensor> plain;
    for (const auto *given = tensors; given != tensors + count; ++given) {
      const auto &tensor = ct::ref(*given);
      if (is_plain(tensor)) plain.push_back(tensor);
      else sum += std::pow(tensor.norm().item<double>(), 2);
    }
    const auto work = pieces(plain);
    std::vector<double> squares(work.size());
    for_pieces(work, [&](size_t i, const Piece &piece) {
      const float *x = plain[piece.tensor].const_data_ptr<float>() + piece.first;
      squares[i] = ct::rows::square_sum(x, piece.count);
    });
    for (const double square : squares) sum += square;
    *out = std::sqrt(sum);
  });
}
