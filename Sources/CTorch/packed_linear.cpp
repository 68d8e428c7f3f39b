// Products with packed weights out of libtorch's own, for types and processors without a matrix unit.

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "linear.h"
#include "linear_products.h"

namespace {

using ct::PackedWeight;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Numbers that are expanded at a time.
constexpr int64_t numbers_at_once = 1 << 20;

/// The type to expand to for products with numbers of `type`.
at::ScalarType expandable(at::ScalarType type) {
  return type == at::kBFloat16 || type == at::kHalf ? type : at::kFloat;
}

/// x·Wᵀ + b for a packed weight; backward, the gradient of x.
struct PackedLinear : torch::autograd::Function<PackedLinear> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &x, const c10::intrusive_ptr<PackedWeight> &weight) {
    ctx->saved_data["packed"] = c10::IValue::make_capsule(weight);
    return ct::times_packed_transposed(x, *weight);
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto weight = ct::packed_of(ctx->saved_data["packed"]);
    return {ct::times_packed(grads[0].contiguous(), *weight), at::Tensor()};
  }
};

}  // namespace

at::Tensor ct::times_packed_transposed(const at::Tensor &x, const PackedWeight &weight) {
  const int64_t rows_at_once = std::max<int64_t>(1, numbers_at_once / weight.inputs());
  auto out = at::empty({x.size(0), weight.outputs()}, x.options());
  for (int64_t row = 0; row < weight.outputs(); row += rows_at_once) {
    const int64_t end = std::min(weight.outputs(), row + rows_at_once);
    const auto part = weight.expanded(expandable(x.scalar_type()), row, end, 0, weight.inputs()).to(x.scalar_type());
    out.slice(1, row, end).copy_(at::mm(x, part.t()));
  }
  return out;
}

at::Tensor ct::times_packed(const at::Tensor &grad, const PackedWeight &weight) {
  const int64_t columns_at_once = std::max<int64_t>(256, numbers_at_once / weight.outputs() / 256 * 256);
  auto out = at::empty({grad.size(0), weight.inputs()}, grad.options());
  for (int64_t column = 0; column < weight.inputs(); column += columns_at_once) {
    const int64_t end = std::min(weight.inputs(), column + columns_at_once);
    const auto part = weight.expanded(expandable(grad.scalar_type()), 0, weight.outputs(), column, end).to(grad.scalar_type());
    out.slice(1, column, end).copy_(at::mm(grad, part));
  }
  return out;
}

at::Tensor ct::packed_linear(const at::Tensor &x, const c10::intrusive_ptr<PackedWeight> &weight,
                             const std::optional<at::Tensor> &bias) {
  const auto out = PackedLinear::apply(x, weight);
  return bias ? out + *bias : out;
}
