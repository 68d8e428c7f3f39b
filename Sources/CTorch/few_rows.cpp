#include "few_rows.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "boundary.h"
#include "ct_linear.h"
#include "ct_system.h"
#include "matvec.h"
#include "matvec_lookup.h"
#include "parallel.h"
#include "rows.h"

namespace {

using ct::LinearWeight;
using namespace ct::matvec;

/// Bytes of a weight that are worth a thread.
constexpr int64_t bytes_per_task = 1 << 15;

Element element(const LinearWeight &weight) {
  if (!weight.packed) return Element::bfloat16;
  if (weight.packed->is_int8()) return Element::int8;
  return is_looked_up(weight.packed->matrix()) ? Element::four_bits : Element::packed;
}

bool takes_gradient(const LinearWeight &weight) {
  return weight.numbers.requires_grad() || (weight.bias && weight.bias->requires_grad()) ||
         (weight.update && (weight.update->a.requires_grad() || weight.update->b.requires_grad()));
}

bool fits(const at::Tensor &x, const LinearWeight &weight) {
  const auto &w = weight.numbers;
  if (weight.transposed || (weight.update && weight.update->dropout > 0)) return false;
  const bool multiplies =
      weight.packed ? x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kFloat
                           : x.scalar_type() == at::kBFloat16 && w.scalar_type() == at::kBFloat16;
  return multiplies && w.is_cpu() && weight.inputs() == x.size(-1) && w.is_contiguous() &&
         (!weight.bias || (weight.bias->is_cpu() && weight.bias->scalar_type() == x.scalar_type() && weight.bias->dim() == 1 &&
                           weight.bias->size(0) == weight.outputs()));
}

/// One weight of a call with the place of its results.
struct Product {
  Weight weight;
  at::Tensor bias, out, scales;
  /// Groups of outputs of the weights before this one.
  int64_t first_group;

  int64_t groups() const { return (weight.out + outputs_at_once - 1) / outputs_at_once; }

  /// Puts y [rows, outputs_at_once] in its place, from output `first` on.
  void write(float *y, int64_t rows, int64_t first, int64_t count) const {
    const bool wide = out.scalar_type() == at::kFloat;
    for (int64_t r = 0; r < rows; ++r, y += outputs_at_once) {
      if (bias.defined())
        for (int64_t i = 0; i < count; ++i) y[i] += bias.data_ptr<float>()[first + i];
      const int64_t place = r * weight.out + first;
      if (wide)
        std::copy(y, y + count, out.data_ptr<float>() + place);
      else
        ct::rows::narrow(y, static_cast<uint16_t *>(out.data_ptr()) + place, count);
    }
  }
};

Product product(const at::Tensor &x, const LinearWeight &weight, int64_t first_group) {
  auto shape = x.sizes().vec();
  shape.back() = weight.outputs();
  Product product{{weight.numbers.data_ptr(), element(weight), nullptr, weight.outputs(), weight.inputs()},
                  {},
                  at::empty(shape, x.options()),
                  {},
                  first_group};
  if (weight.packed) product.weight.packed = &weight.packed->matrix();
  if (product.weight.element == Element::int8) {
    product.scales = weight.packed->scales() / 127.0;
    product.weight.scales = product.scales.const_data_ptr<float>();
  }
  if (weight.bias) product.bias = weight.bias->to(at::kFloat).contiguous();
  return product;
}

Input input(const at::Tensor &x, int64_t rows, int64_t in, const std::vector<LinearWeight> &weights) {
  const auto some = [&](Element kind) {
    return std::any_of(weights.begin(), weights.end(), [&](const LinearWeight &weight) { return element(weight) == kind; });
  };
  const Needs needs{some(Element::packed), some(Element::four_bits)};
  if (x.scalar_type() == at::kFloat) return Input(x.data_ptr<float>(), rows, in, needs);
  return Input(static_cast<const uint16_t *>(x.data_ptr()), rows, in, needs);
}

}  // namespace

bool ct::is_few_rows(const at::Tensor &x, const std::vector<LinearWeight> &weights) {
  if (!ct_fused_kernels() || !x.is_cpu() || x.dim() == 0 || x.numel() == 0 || weights.empty()) return false;
  if (at::GradMode::is_enabled() && (x.requires_grad() || std::any_of(weights.begin(), weights.end(), takes_gradient)))
    return false;
  const int64_t rows = x.numel() / x.size(-1);
  return std::all_of(weights.begin(), weights.end(),
                     [&](const LinearWeight &w) { return fits(x, w) && rows <= most_rows(element(w)); });
}

std::vector<at::Tensor> ct::few_rows_linears(const at::Tensor &x, const std::vector<LinearWeight> &weights) {
  const at::NoGradGuard no_gradients;
  const auto source = x.contiguous();
  const int64_t in = x.size(-1), rows = x.numel() / in;
  const Input ready = input(source, rows, in, weights);
  std::vector<Product> products;
  int64_t groups = 0, bytes = 0;
  for (const auto &weight : weights) {
    products.push_back(product(source, weight, groups));
    groups += products.back().groups();
    bytes += static_cast<int64_t>(weight.numbers.nbytes());
  }
  const int64_t grain = std::max<int64_t>(1, bytes_per_task * groups / std::max<int64_t>(bytes, 1));
  ct::parallel_for(groups, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> y(static_cast<size_t>((rows + 15) / 16 * 16 * outputs_at_once));
    auto product = products.begin();
    for (int64_t group = begin; group < end; ++group) {
      while (group >= product->first_group + product->groups()) ++product;
      const int64_t first = (group - product->first_group) * outputs_at_once;
      const int64_t last = std::min(product->weight.out, first + outputs_at_once);
      ready.multiply(product->weight, first, last, y.data());
      product->write(y.data(), rows, first, last - first);
    }
  });
  std::vector<at::Tensor> results;
  for (auto &product : products) results.push_back(std::move(product.out));
  return results;
}

namespace {

/// Throws where these are no 8-bit numbers [out, in] with scales [out, blocks].
void check_quantized(const at::Tensor &numbers, const at::Tensor &scales) {
  TORCH_CHECK(numbers.is_cpu() && scales.is_cpu() && numbers.scalar_type() == at::kChar && scales.scalar_type() == at::kFloat &&
                  numbers.dim() == 2 && scales.dim() == 2 && numbers.is_contiguous() && scales.is_contiguous() &&
                  scales.size(0) == numbers.size(0) && scales.size(1) == block_count(numbers.size(1)),
              "an 8-bit weight has numbers [out, in] (int8) and scales [out, ⌈in / ", scale_block, "⌉] (float32) on the CPU, not ",
              numbers.sizes(), " and ", scales.sizes());
}

/// numbers·scales, in float32 or bfloat16.
at::Tensor expanded(const at::Tensor &numbers, const at::Tensor &scales, at::ScalarType type) {
  check_quantized(numbers, scales);
  TORCH_CHECK(type == at::kFloat || type == at::kBFloat16, "8-bit weights expand to float32 or bfloat16");
  const int64_t in = numbers.size(1);
  auto out = at::empty(numbers.sizes(), at::TensorOptions(type));
  ct::parallel_for(numbers.size(0), std::max<int64_t>(1, bytes_per_task / std::max<int64_t>(1, in)), [&](int64_t begin, int64_t end) {
    std::vector<float> wide(static_cast<size_t>(in));
    for (int64_t row = begin; row < end; ++row) {
      float *target = type == at::kFloat ? out.data_ptr<float>() + row * in : wide.data();
      dequantize(numbers.data_ptr<int8_t>() + row * in, scales.data_ptr<float>() + row * block_count(in), in, target);
      if (type == at::kBFloat16) ct::rows::narrow(target, static_cast<uint16_t *>(out.data_ptr()) + row * in, in);
    }
  });
  return out;
}

}  // namespace

ct_status ct_quantize(ct_tensor weight, ct_tensor *numbers, ct_tensor *scales) {
  return ct::produce_pair(numbers, scales, [&] {
    const at::NoGradGuard no_gradients;
    const auto &w = ct::ref(weight);
    TORCH_CHECK(w.is_cpu() && w.dim() == 2 && at::isFloatingType(w.scalar_type()), "8-bit weights are made of a matrix on the CPU, not ",
                w.sizes(), " of ", w.scalar_type(), " on ", w.device());
    const int64_t out = w.size(0), in = w.size(1);
    auto q = at::empty({out, in}, at::TensorOptions(at::kChar)), s = at::empty({out, block_count(in)}, at::TensorOptions(at::kFloat));
    constexpr int64_t rows_at_once = 64;  // a part of a large weight is float32 at a time
    for (int64_t first = 0; first < out; first += rows_at_once * at::get_num_threads()) {
      const auto part = w.slice(0, first, std::min(out, first + rows_at_once * at::get_num_threads())).to(at::kFloat).contiguous();
      ct::parallel_for(part.size(0), rows_at_once, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row)
          quantize(part.data_ptr<float>() + row * in, in, q.data_ptr<int8_t>() + (first + row) * in,
                   s.data_ptr<float>() + (first + row) * block_count(in));
      });
    }
    return std::make_pair(q, s);
  });
}

ct_status ct_expand_quantized(ct_tensor numbers, ct_tensor scales, ct_dtype dtype, ct_tensor *out) {
  return ct::produce(out, [&] { return expanded(ct::ref(numbers), ct::ref(scales), ct::scalar_type(dtype)); });
}
