// Adafactor, as transformers has it: Shazeer & Stern, arXiv:1804.04235.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "boundary.h"
#include "ct_optim.h"
#include "random_rounding.h"

namespace {

double root_mean_square(const at::Tensor &tensor) {
  if (tensor.is_meta()) return 1;
  return at::linalg_vector_norm(tensor).item<double>() / std::sqrt(static_cast<double>(std::max<int64_t>(1, tensor.numel())));
}

class Adafactor {
 public:
  Adafactor(const ct_adafactor_parameter &given, const ct_adafactor_settings &settings)
      : parameter_(ct::ref(given.parameter)), gradient_(ct::ref(given.gradient)), rows_(state(given.rows)), columns_(state(given.columns)),
        squares_(state(given.squares)), mean_(state(given.mean)), settings_(settings), rate_(given.learning_rate),
        decay_(given.weight_decay), noise_(given.noise) {
    const auto shape = parameter_.sizes();
    TORCH_CHECK(gradient_.sizes() == shape && parameter_.is_floating_point() && gradient_.is_floating_point(),
                "Adafactor takes a parameter and a gradient of one shape, not ", shape, " and ", gradient_.sizes());
    const bool factored = rows_.defined() && columns_.defined() && !squares_.defined() && parameter_.dim() >= 2 &&
                          rows_.sizes() == shape.slice(0, shape.size() - 1) && columns_.numel() == parameter_.numel() / std::max<int64_t>(1, parameter_.size(-2));
    const bool whole = squares_.defined() && !rows_.defined() && !columns_.defined() && squares_.sizes() == shape;
    TORCH_CHECK((factored || whole) && (!mean_.defined() || mean_.sizes() == shape), "states of other shapes than the parameter's ", shape);
  }

  void step() {
    // The one tensor of the parameter's size that is made, besides a float32 copy of a bfloat16 parameter: squares, then the update.
    const double scale = settings_.gradient_scale;
    auto update = gradient_.to(at::kFloat, false, true).square_().mul_(scale * scale).add_(settings_.eps1);
    const double beta2 = 1 - std::pow(static_cast<double>(settings_.step), settings_.decay_rate);
    if (rows_.defined()) {
      rows_.mul_(beta2).add_(update.mean(-1), 1 - beta2);
      columns_.mul_(beta2).add_(update.mean(-2), 1 - beta2);
      at::mul_out(update, (rows_ / rows_.mean(-1, true)).rsqrt_().unsqueeze(-1), columns_.unsqueeze(-2).rsqrt());
    } else {
      squares_.mul_(beta2).add_(update, 1 - beta2);
      at::rsqrt_out(update, squares_);
    }
    update.mul_(gradient_).mul_(scale);
    const auto wide = parameter_.to(at::kFloat);
    const double rate = rate_ * (settings_.scales_parameter ? std::max(settings_.eps2, root_mean_square(wide)) : 1);
    update.mul_(rate / std::max(1.0, root_mean_square(update) / settings_.clip_threshold));
    if (mean_.defined()) update = mean_.mul_(settings_.beta1).add_(update, 1 - settings_.beta1);
    if (decay_ != 0) wide.mul_(1 - decay_ * rate);
    wide.sub_(update);
    if (!wide.is_same(parameter_)) parameter_.copy_(settings_.rounds_at_random ? ct::round_at_random(wide, noise_) : wide);
  }

 private:
  static at::Tensor state(ct_tensor given) {
    const auto found = ct::optional(given).value_or(at::Tensor());
    TORCH_CHECK(!found.defined() || found.scalar_type() == at::kFloat, "Adafactor remembers float32, not ", found.scalar_type());
    return found;
  }

  at::Tensor parameter_, gradient_, rows_, columns_, squares_, mean_;
  const ct_adafactor_settings &settings_;
  double rate_, decay_;
  uint64_t noise_;
};

}  // namespace

ct_status ct_adafactor_step(const ct_adafactor_parameter *parameters, int64_t count, const ct_adafactor_settings *settings) {
  return ct::guarded([&] {
    at::NoGradGuard frozen;
    TORCH_CHECK(settings != nullptr && (count == 0 || parameters != nullptr), "settings or a list of parameters are null");
    TORCH_CHECK(settings->step >= 1, "steps count from 1, not from ", settings->step);
    for (const auto *given = parameters; given != parameters + count; ++given) Adafactor(*given, *settings).step();
  });
}
