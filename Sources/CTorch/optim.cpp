#include "ct_optim.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "block_codes.h"
#include "boundary.h"
#include "parallel.h"
#include "pieces.h"
#include "random_rounding.h"
#include "rehearsal.h"
#include "rows.h"
#include "step_rules.h"

namespace {

using ct::Piece;

bool is_plain(const at::Tensor &tensor, at::ScalarType type) {
  return ct::rehearsal::on_processor(tensor) && tensor.scalar_type() == type && tensor.is_contiguous();
}

bool is_number(const at::Tensor &tensor) { return tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16; }

bool is_plain_number(const at::Tensor &tensor) { return ct::rehearsal::on_processor(tensor) && tensor.is_contiguous() && is_number(tensor); }

/// What a rule remembers of a parameter, ready for use piece by piece.
struct State {
  at::Tensor numbers, scales;
  const ct::DynamicMap *map = nullptr;

  State(const ct_step_state &given, const at::Tensor &parameter, bool is_signed) {
    const auto found = ct::optional(given.numbers), large = ct::optional(given.scales);
    TORCH_CHECK(found.has_value() || !large.has_value(), "scales without codes");
    if (!found) return;
    numbers = *found;
    TORCH_CHECK(numbers.sizes() == parameter.sizes() && numbers.scalar_type() == (large ? at::kByte : at::kFloat),
                "a state of ", numbers.sizes(), " ", numbers.scalar_type(), " for a parameter of ", parameter.sizes());
    if (!large) return;
    scales = *large;
    map = &ct::DynamicMap::get(is_signed);
    TORCH_CHECK(scales.scalar_type() == at::kFloat && scales.numel() == ct::code_blocks(parameter.numel()) &&
                    scales.device() == numbers.device(),
                "codes of ", parameter.numel(), " numbers have a float32 scale for each 256, not ", scales.sizes(), " ",
                scales.scalar_type());
  }

  bool defined() const { return numbers.defined(); }
  bool plain() const {
    return !defined() || (map ? is_plain(numbers, at::kByte) && is_plain(scales, at::kFloat) : is_plain(numbers, at::kFloat));
  }

  /// The numbers from `first` on, in `scratch` where they are stored as codes; null where there are none.
  float *read(int64_t first, int64_t n, float *scratch) const {
    if (!defined()) return nullptr;
    if (!map) return numbers.data_ptr<float>() + first;
    map->decode(numbers.const_data_ptr<uint8_t>() + first, scales.const_data_ptr<float>() + first / ct::code_block, scratch, n);
    return scratch;
  }
  void write(const float *changed, int64_t first, int64_t n) const {
    if (map) map->encode(changed, numbers.data_ptr<uint8_t>() + first, scales.data_ptr<float>() + first / ct::code_block, n);
  }

  /// The same as a whole, where the parameter is.
  at::Tensor read(const at::Device &device) const {
    if (!defined()) return {};
    return map ? map->decode(numbers.to(device), scales.to(device)) : numbers.to(device);
  }
  void write(const at::Tensor &changed) const {
    if (!defined() || changed.is_same(numbers)) return;
    if (!map) {
      numbers.copy_(changed);
      return;
    }
    const auto codes = at::empty(numbers.sizes(), changed.options().dtype(at::kByte)), large = at::empty_like(scales, changed.options());
    map->encode(changed, codes, large);
    numbers.copy_(codes);
    scales.copy_(large);
  }
};

/// Numbers that fit the first cache several times over: what is converted on the way is converted this many at a time.
constexpr int64_t at_once = 2048;
static_assert(ct::piece_size % at_once == 0 && at_once % ct::code_block == 0);

/// One parameter's step.
class Move {
 public:
  Move(const ct_moved_parameter &given, const ct_step_settings &settings)
      : parameter(ct::ref(given.parameter)), gradient(ct::ref(given.gradient)), first_(given.first, parameter, true),
        second_(given.second, parameter, false), step_(settings, given.learning_rate, given.weight_decay, first_.defined()),
        noise_(settings.rounds_at_random ? std::optional(given.noise) : std::nullopt) {
    TORCH_CHECK(is_number(parameter) && is_number(gradient) && parameter.sizes() == gradient.sizes() &&
                    parameter.device() == gradient.device(),
                "a step takes a parameter and a gradient of float32 or bfloat16 and one shape, not ", parameter.sizes(), " ",
                parameter.scalar_type(), " and ", gradient.sizes(), " ", gradient.scalar_type());
    const int wanted = settings.rule == CT_STEP_ADAMW ? 2 : settings.rule == CT_STEP_LION ? 1 : 0;
    TORCH_CHECK((wanted < 1 || first_.defined()) && (wanted < 2 || second_.defined()), "the rule remembers more than is given");
  }

  at::Tensor parameter, gradient;

  bool plain() const { return is_plain_number(parameter) && is_plain_number(gradient) && first_.plain() && second_.plain(); }

  /// A part of the parameter.
  void run(const Piece &piece) const {
    const bool as_stored = parameter.scalar_type() == at::kFloat && gradient.scalar_type() == at::kFloat && !first_.map && !second_.map;
    const int64_t most = as_stored ? piece.count : at_once;
    std::vector<float> scratch(as_stored ? 0 : 4 * at_once);
    for (int64_t done = 0; done < piece.count; done += most)
      run(piece.first + done, std::min(most, piece.count - done), scratch.data());
  }

  /// By libtorch's operations, on any device.
  void run() const {
    const auto wide = parameter.to(at::kFloat);
    const auto first = first_.read(parameter.device()), second = second_.read(parameter.device());
    step_.run(wide, gradient.to(at::kFloat), first, second);
    first_.write(first);
    second_.write(second);
    if (!wide.is_same(parameter)) parameter.copy_(noise_ ? ct::round_at_random(wide, *noise_) : wide);
  }

 private:
  void run(int64_t first, int64_t n, float *scratch) const {
    float *m = first_.read(first, n, scratch), *v = second_.read(first, n, scratch + at_once);
    const float *g = read(gradient, first, n, scratch + 2 * at_once);
    if (parameter.scalar_type() == at::kFloat) {
      step_.run(parameter.data_ptr<float>() + first, g, m, v, n);
    } else {
      float *wide = scratch + 3 * at_once;
      auto *stored = static_cast<uint16_t *>(parameter.data_ptr()) + first;
      ct::rows::widen(stored, wide, n);
      step_.run(wide, g, m, v, n);
      if (noise_) ct::round_at_random(wide, stored, *noise_, first, n);
      else ct::rows::narrow(wide, stored, n);
    }
    first_.write(m, first, n);
    second_.write(v, first, n);
  }

  static const float *read(const at::Tensor &tensor, int64_t first, int64_t n, float *scratch) {
    if (tensor.scalar_type() == at::kFloat) return tensor.const_data_ptr<float>() + first;
    ct::rows::widen(static_cast<const uint16_t *>(tensor.const_data_ptr()) + first, scratch, n);
    return scratch;
  }

  State first_, second_;
  ct::Step step_;
  std::optional<uint64_t> noise_;
};

double square_sum(const at::Tensor &tensor, const Piece &piece) {
  if (tensor.scalar_type() == at::kFloat) return ct::rows::square_sum(tensor.const_data_ptr<float>() + piece.first, piece.count);
  const auto *stored = static_cast<const uint16_t *>(tensor.const_data_ptr()) + piece.first;
  float wide[at_once];
  double sum = 0;
  for (int64_t done = 0; done < piece.count; done += at_once) {
    const int64_t n = std::min(at_once, piece.count - done);
    ct::rows::widen(stored + done, wide, n);
    sum += ct::rows::square_sum(wide, n);
  }
  return sum;
}

}  // namespace

ct_status ct_optimizer_step(const ct_moved_parameter *parameters, int64_t count, const ct_step_settings *settings) {
  return ct::guarded([&] {
    at::NoGradGuard frozen;
    TORCH_CHECK(settings != nullptr && (count == 0 || parameters != nullptr), "settings or a list of parameters are null");
    TORCH_CHECK(settings->step >= 1, "steps count from 1, not from ", settings->step);
    std::vector<Move> moves;
    for (const auto *given = parameters; given != parameters + count; ++given) moves.emplace_back(*given, *settings);
    std::vector<Move> plain;
    std::vector<at::Tensor> sizes;
    for (auto &move : moves) {
      if (!move.plain()) {
        move.run();
        continue;
      }
      sizes.push_back(move.parameter);
      plain.push_back(std::move(move));
    }
    ct::for_pieces(ct::pieces(sizes), [&](size_t, const Piece &piece) { plain[piece.tensor].run(piece); });
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
      if (is_plain_number(tensor)) plain.push_back(tensor);
      else sum += std::pow(at::linalg_vector_norm(tensor, 2, std::nullopt, false, at::kFloat).item<double>(), 2);
    }
    const auto work = ct::pieces(plain);
    std::vector<double> squares(work.size());
    ct::for_pieces(work, [&](size_t i, const Piece &piece) { squares[i] = square_sum(plain[piece.tensor], piece); });
    for (const double square : squares) sum += square;
    *out = std::sqrt(sum);
  });
}
