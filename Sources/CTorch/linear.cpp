#include "linear.h"

#include "boundary.h"
#include "ct_linear.h"
#include "few_rows.h"
#include "rehearsal.h"

namespace {

using ct::LinearWeight;

/// Whether the numbers are of the input's type, or float32 kept for it.
bool fits(const at::Tensor &x, const at::Tensor &numbers) {
  return x.device() == numbers.device() && (x.scalar_type() == numbers.scalar_type() || numbers.scalar_type() == at::kFloat);
}

void check(const at::Tensor &x, const LinearWeight &weight) {
  const auto &numbers = weight.numbers;
  TORCH_CHECK((weight.packed || numbers.dim() == 2) && x.dim() > 0 && x.size(-1) == weight.inputs(), "an input of ", x.sizes(),
              " for a weight [out, in] of [", weight.outputs(), ", ", weight.inputs(), "]");
  if (weight.packed) {
    TORCH_CHECK(!weight.transposed, "a packed weight is stored as [out, in]");
    TORCH_CHECK(ct::rehearsal::on_processor(x) && at::isFloatingType(x.scalar_type()), "packed weights take floating-point inputs on the CPU, not ",
                x.scalar_type(), " on ", x.device());
  } else {
    TORCH_CHECK(fits(x, numbers), "an input of ", x.scalar_type(), " on ", x.device(), " for a weight of ", numbers.scalar_type(),
                " on ", numbers.device());
  }
  if (weight.bias)
    TORCH_CHECK(weight.bias->dim() == 1 && weight.bias->size(0) == weight.outputs() && fits(x, *weight.bias), "a bias of ",
                weight.bias->sizes(), ", ", weight.bias->scalar_type(), ", for ", weight.outputs(), " outputs");
  if (!weight.update) return;
  const auto &update = *weight.update;
  TORCH_CHECK(update.a.dim() == 2 && update.b.dim() == 2 && update.a.size(1) == weight.inputs() &&
                  update.b.size(0) == weight.outputs() && update.a.size(0) == update.b.size(1),
              "factors of ", update.a.sizes(), " and ", update.b.sizes(), " for a weight [out, in] of [", weight.outputs(), ", ",
              weight.inputs(), "]");
  TORCH_CHECK(update.a.scalar_type() == at::kFloat && update.b.scalar_type() == at::kFloat, "the factors are float32");
  TORCH_CHECK(update.dropout >= 0 && update.dropout < 1, "a dropout of ", update.dropout);
}

/// The weight at a boundary, checked.
LinearWeight linear_weight(const at::Tensor &x, const ct_linear_weight &given) {
  LinearWeight weight;
  if (given.packed) weight.packed = c10::make_intrusive<ct::PackedWeight>(*given.packed);
  weight.numbers = weight.packed ? weight.packed->numbers() : ct::ref(given.weight);
  weight.bias = ct::optional(given.bias);
  weight.transposed = given.transposed;
  const auto a = ct::optional(given.a), b = ct::optional(given.b);
  TORCH_CHECK(a.has_value() == b.has_value(), "one of two factors is null");
  if (a) weight.update = ct::LowRank{a->contiguous(), b->contiguous(), given.scale, given.dropout};
  check(x, weight);
  return weight;
}

/// x as a matrix of rows.
at::Tensor rows_of(const at::Tensor &x) { return x.reshape({-1, x.size(-1)}).contiguous(); }

/// `rows` with the leading dimensions of `x`.
at::Tensor shaped(const at::Tensor &rows, const at::Tensor &x) {
  auto shape = x.sizes().vec();
  shape.back() = rows.size(1);
  return rows.view(shape);
}

/// Out of libtorch's operations, for other devices and types.
at::Tensor composed(const at::Tensor &x, const LinearWeight &weight) {
  const auto type = x.scalar_type();
  const auto bias = weight.bias ? std::optional(weight.bias->to(type)) : std::nullopt;
  const auto base = weight.packed ? shaped(ct::packed_linear(rows_of(x), weight.packed, bias), x)
                                  : at::linear(x, weight.matrix().to(type), bias);
  if (!weight.update) return base;
  const auto &update = *weight.update;
  const auto input = update.dropout > 0 ? at::dropout(x, update.dropout, /*train=*/true) : x;
  const auto low = at::linear(input, update.a.to(x.scalar_type())) * update.scale;
  return base + at::linear(low, update.b.to(x.scalar_type()));
}

/// A few rows without gradients: the weights as fast as they can be read, low-rank parts in float32.
std::vector<at::Tensor> decoded(const at::Tensor &x, const std::vector<LinearWeight> &weights) {
  auto outs = ct::few_rows_linears(x, weights);
  at::Tensor wide;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!weights[i].update) continue;
    if (!wide.defined()) wide = x.to(at::kFloat);
    const auto &update = *weights[i].update;
    outs[i] = at::linear(at::linear(wide, update.a).mul_(update.scale), update.b).add_(outs[i]).to(x.scalar_type());
  }
  return outs;
}

std::vector<at::Tensor> linears(const at::Tensor &x, const std::vector<LinearWeight> &weights) {
  if (ct::is_few_rows(x, weights)) return decoded(x, weights);
  std::vector<at::Tensor> outs;
  if (ct::in_one_go(x, weights)) {
    for (auto &out : ct::linears_in_one_go(rows_of(x), weights)) outs.push_back(shaped(out, x));
    return outs;
  }
  for (const auto &weight : weights)
    outs.push_back(weights.size() > 1 ? linears(x, {weight})[0] : composed(x, weight));
  return outs;
}

}  // namespace

ct_status ct_linears(ct_tensor x, const ct_linear_weight *weights, int64_t count, ct_tensor *outs) {
  return ct::guarded([&] {
    ct::check_out(outs);
    TORCH_CHECK(count > 0 && weights != nullptr, "an empty list of weights");
    const auto &input = ct::ref(x);
    std::vector<LinearWeight> all;
    for (const auto *weight = weights; weight != weights + count; ++weight) all.push_back(linear_weight(input, *weight));
    auto results = linears(input, all);
    for (int64_t i = 0; i < count; ++i) outs[i] = ct::own(std::move(results[i]));
  });
}
