// Shapes of what operations give for which libtorch has no kernel on the meta device outside of Python.
#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>
#include <torch/library.h>

#include <array>
#include <tuple>

namespace {

at::Tensor index_select(const at::Tensor &self, int64_t dim, const at::Tensor &index) {
  auto shape = self.sizes().vec();
  if (shape.empty()) return at::empty_like(self);
  shape[static_cast<size_t>(at::maybe_wrap_dim(dim, self.dim()))] = index.numel();
  return at::empty(shape, self.options());
}

at::Tensor embedding_dense_backward(const at::Tensor &grad, const at::Tensor &, int64_t rows, int64_t, bool) {
  return at::empty({rows, grad.size(-1)}, grad.options());
}

at::Tensor where(const at::Tensor &condition, const at::Tensor &self, const at::Tensor &other) {
  const auto shape = at::infer_size(condition.sizes(), at::infer_size(self.sizes(), other.sizes()));
  return at::empty(shape, self.options().dtype(at::result_type(self, other)));
}

at::Tensor &where_out(const at::Tensor &, const at::Tensor &, const at::Tensor &, at::Tensor &out) { return out; }

at::Tensor relu(const at::Tensor &self) { return at::empty_like(self); }

std::tuple<at::Tensor, at::Tensor> log_sigmoid_forward(const at::Tensor &self) { return {at::empty_like(self), at::empty_like(self)}; }

at::Tensor log_sigmoid_backward(const at::Tensor &, const at::Tensor &self, const at::Tensor &) { return at::empty_like(self); }

at::Tensor &bernoulli(at::Tensor &self, double, std::optional<at::Generator>) { return self; }

std::tuple<at::Tensor, at::Tensor, at::Tensor> native_layer_norm(
    const at::Tensor &input, at::IntArrayRef shape, const std::optional<at::Tensor> &, const std::optional<at::Tensor> &, double) {
  auto rows = input.sizes().vec();
  for (size_t place = rows.size() - shape.size(); place < rows.size(); ++place) rows[place] = 1;
  const auto wide = input.options().dtype(at::kFloat);
  return {at::empty_like(input), at::empty(rows, wide), at::empty(rows, wide)};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> native_layer_norm_backward(
    const at::Tensor &, const at::Tensor &input, at::IntArrayRef, const at::Tensor &, const at::Tensor &,
    const std::optional<at::Tensor> &weight, const std::optional<at::Tensor> &bias, std::array<bool, 3> wanted) {
  at::Tensor dx, dw, db;
  if (wanted[0]) dx = at::empty_like(input);
  if (wanted[1] && weight) dw = at::empty_like(*weight);
  if (wanted[2] && bias) db = at::empty_like(*bias);
  return {dx, dw, db};
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, Meta, m) {
  m.impl("index_select", TORCH_FN(index_select));
  m.impl("embedding_dense_backward", TORCH_FN(embedding_dense_backward));
  m.impl("where.self", TORCH_FN(where));
  m.impl("where.self_out", TORCH_FN(where_out));
  m.impl("relu", TORCH_FN(relu));
  m.impl("log_sigmoid_forward", TORCH_FN(log_sigmoid_forward));
  m.impl("log_sigmoid_backward", TORCH_FN(log_sigmoid_backward));
  m.impl("bernoulli_.float", TORCH_FN(bernoulli));
  m.impl("native_layer_norm", TORCH_FN(native_layer_norm));
  m.impl("native_layer_norm_backward", TORCH_FN(native_layer_norm_backward));
}
