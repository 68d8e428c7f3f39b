#include "ct_ops.h"

#include <cmath>

#include "boundary.h"
#include "fused.h"

namespace {

at::Tensor unary(ct_unary_op op, const at::Tensor &a) {
  switch (op) {
    case CT_NEG: return at::neg(a);
    case CT_ABS: return at::abs(a);
    case CT_EXP: return at::exp(a);
    case CT_LOG: return at::log(a);
    case CT_SQRT: return at::sqrt(a);
    case CT_RSQRT: return at::rsqrt(a);
    case CT_SIN: return at::sin(a);
    case CT_COS: return at::cos(a);
    case CT_TANH: return at::tanh(a);
    case CT_SIGMOID: return at::sigmoid(a);
    case CT_RELU: return at::relu(a);
    case CT_SILU: return at::silu(a);
    case CT_LOG_SIGMOID: return at::log_sigmoid(a);
    case CT_EXPM1: return at::expm1(a);
    case CT_GELU: return at::gelu(a);
    case CT_GELU_TANH: return ct::fusable({a}) ? ct::fused_gelu_tanh(a) : at::gelu(a, "tanh");
    case CT_ISFINITE: return at::isfinite(a);
    case CT_LOGICAL_NOT: return at::logical_not(a);
  }
  TORCH_CHECK(false, "unknown operation ", static_cast<int>(op));
}

/// `Other` is a tensor or a number.
template <typename Other>
at::Tensor elementwise(ct_binary_op op, const at::Tensor &a, const Other &b) {
  switch (op) {
    case CT_ADD: return at::add(a, b);
    case CT_SUB: return at::sub(a, b);
    case CT_MUL: return at::mul(a, b);
    case CT_DIV: return at::div(a, b);
    case CT_POW: return at::pow(a, b);
    case CT_EQ: return at::eq(a, b);
    case CT_NE: return at::ne(a, b);
    case CT_LT: return at::lt(a, b);
    case CT_LE: return at::le(a, b);
    case CT_GT: return at::gt(a, b);
    case CT_GE: return at::ge(a, b);
    default: TORCH_CHECK(false, "operation ", static_cast<int>(op), " does not take these operands");
  }
}

at::Tensor binary(ct_binary_op op, const at::Tensor &a, const at::Tensor &b) {
  switch (op) {
    case CT_MATMUL: return at::matmul(a, b);
    case CT_MAXIMUM: return at::maximum(a, b);
    case CT_MINIMUM: return at::minimum(a, b);
    case CT_AND: return at::logical_and(a, b);
    case CT_OR: return at::logical_or(a, b);
    default: return elementwise(op, a, b);
  }
}

bool compares(ct_binary_op op) { return op >= CT_EQ && op <= CT_GE; }

/// `b` as the second operand of `a`: a whole number beside whole numbers, so that token ids plus one are token ids.
at::Scalar scalar(ct_binary_op op, const at::Tensor &a, double b) {
  const bool integers = at::isIntegralType(a.scalar_type(), /*includeBool=*/false);
  if (!integers || op == CT_DIV) return b;
  if (b == std::trunc(b) && std::abs(b) < 0x1p62) return static_cast<int64_t>(b);
  TORCH_CHECK(compares(op), "a tensor of integers takes whole numbers here, not ", b, "; convert it to a floating-point type");
  return b;
}

/// The type a norm is summed in: float32 for the 16-bit types, whose sums stop growing early.
std::optional<at::ScalarType> norm_type(const at::Tensor &a) {
  const auto type = a.scalar_type();
  return type == at::kBFloat16 || type == at::kHalf ? std::optional(at::kFloat) : std::nullopt;
}

at::Tensor reduce(ct_reduction op, const at::Tensor &a, at::IntArrayRef dims, bool keep) {
  std::vector<int64_t> all;
  if (dims.empty()) {
    for (int64_t i = 0; i < a.dim(); ++i) all.push_back(i);
    dims = all;
  }
  switch (op) {
    case CT_SUM: return at::sum(a, dims, keep);
    case CT_MEAN: return at::mean(a, dims, keep);
    case CT_AMAX: return at::amax(a, dims, keep);
    case CT_AMIN: return at::amin(a, dims, keep);
    case CT_LOGSUMEXP: return at::logsumexp(a, dims, keep);
    case CT_NORM2: return at::linalg_vector_norm(a, 2, dims, keep, norm_type(a));
    case CT_ALL: return at::all(a, dims, keep);
    case CT_ANY: return at::any(a, dims, keep);
  }
  TORCH_CHECK(false, "unknown reduction ", static_cast<int>(op));
}

}  // namespace

ct_status ct_unary(ct_unary_op op, ct_tensor a, ct_tensor *out) {
  return ct::produce(out, [&] { return unary(op, ct::ref(a)); });
}

ct_status ct_binary(ct_binary_op op, ct_tensor a, ct_tensor b, ct_tensor *out) {
  return ct::produce(out, [&] { return binary(op, ct::ref(a), ct::ref(b)); });
}

ct_status ct_binary_scalar(ct_binary_op op, ct_tensor a, double b, ct_tensor *out) {
  return ct::produce(out, [&] { return elementwise(op, ct::ref(a), scalar(op, ct::ref(a), b)); });
}

ct_status ct_clamp(ct_tensor a, double low, double high, ct_tensor *out) {
  return ct::produce(out, [&] { return at::clamp(ct::ref(a), at::Scalar(low), at::Scalar(high)); });
}

ct_status ct_reduce(ct_reduction op, ct_tensor a, const int64_t *dims, int64_t count, bool keep, ct_tensor *out) {
  return ct::produce(out, [&] { return reduce(op, ct::ref(a), ct::sizes(dims, count), keep); });
}

ct_status ct_argmax(ct_tensor a, int64_t dim, ct_tensor *out) {
  return ct::produce(out, [&] { return at::argmax(ct::ref(a), dim); });
}

ct_status ct_softmax(ct_tensor a, int64_t dim, ct_tensor *out) {
  return ct::produce(out, [&] { return at::softmax(ct::ref(a), dim); });
}

ct_status ct_log_softmax(ct_tensor a, int64_t dim, ct_tensor *out) {
  return ct::produce(out, [&] { return at::log_softmax(ct::ref(a), dim); });
}

ct_status ct_cumsum(ct_tensor a, int64_t dim, ct_tensor *out) {
  return ct::produce(out, [&] { return at::cumsum(ct::ref(a), dim); });
}

ct_status ct_sort(ct_tensor a, int64_t dim, bool largest, ct_tensor *values, ct_tensor *indices) {
  return ct::produce_pair(values, indices, [&] { return at::sort(ct::ref(a), /*stable=*/true, dim, largest); });
}

ct_status ct_topk(ct_tensor a, int64_t k, int64_t dim, ct_tensor *values, ct_tensor *indices) {
  return ct::produce_pair(values, indices, [&] { return at::topk(ct::ref(a), k, dim); });
}

ct_status ct_reshape(ct_tensor a, const int64_t *shape, int64_t rank, ct_tensor *out) {
  return ct::produce(out, [&] { return at::reshape(ct::ref(a), ct::sizes(shape, rank)); });
}

ct_status ct_expand(ct_tensor a, const int64_t *shape, int64_t rank, ct_tensor *out) {
  return ct::produce(out, [&] { return ct::ref(a).expand(ct::sizes(shape, rank)); });
}

ct_status ct_permute(ct_tensor a, const int64_t *dims, int64_t count, ct_tensor *out) {
  return ct::produce(out, [&] { return at::permute(ct::ref(a), ct::sizes(dims, count)); });
}

ct_status ct_transpose(ct_tensor a, int64_t first, int64_t second, ct_tensor *out) {
  return ct::produce(out, [&] { return at::transpose(ct::ref(a), first, second); });
}

ct_status ct_unsqueeze(ct_tensor a, int64_t dim, ct_tensor *out) {
  return ct::produce(out, [&] { return at::unsqueeze(ct::ref(a), dim); });
}

ct_status ct_squeeze(ct_tensor a, int64_t dim, ct_tensor *out) {
  return ct::produce(out, [&] { return at::squeeze(ct::ref(a), dim); });
}

ct_status ct_narrow(ct_tensor a, int64_t dim, int64_t start, int64_t length, ct_tensor *out) {
  return ct::produce(out, [&] { return at::narrow(ct::ref(a), dim, start, length); });
}

ct_status ct_select(ct_tensor a, int64_t dim, int64_t index, ct_tensor *out) {
  return ct::produce(out, [&] { return at::select(ct::ref(a), dim, index); });
}

ct_status ct_split(ct_tensor a, const int64_t *lengths, int64_t count, int64_t dim, ct_tensor *outs) {
  return ct::guarded([&] {
    ct::check_out(outs);
    auto parts = ct::ref(a).split_with_sizes(ct::sizes(lengths, count), dim);
    for (size_t i = 0; i < parts.size(); ++i) outs[i] = ct::own(std::move(parts[i]));
  });
}

ct_status ct_cat(const ct_tensor *parts, int64_t count, int64_t dim, ct_tensor *out) {
  return ct::produce(out, [&] { return at::cat(ct::list(parts, count), dim); });
}

ct_status ct_stack(const ct_tensor *parts, int64_t count, int64_t dim, ct_tensor *out) {
  return ct::produce(out, [&] { return at::stack(ct::list(parts, count), dim); });
}

ct_status ct_index_select(ct_tensor a, int64_t dim, ct_tensor indices, ct_tensor *out) {
  return ct::produce(out, [&] { return at::index_select(ct::ref(a), dim, ct::ref(indices)); });
}

ct_status ct_gather(ct_tensor a, int64_t dim, ct_tensor indices, ct_tensor *out) {
  return ct::produce(out, [&] { return at::gather(ct::ref(a), dim, ct::ref(indices)); });
}

ct_status ct_scatter(ct_tensor a, int64_t dim, ct_tensor indices, ct_tensor source, ct_tensor *out) {
  return ct::produce(out, [&] { return at::scatter(ct::ref(a), dim, ct::ref(indices), ct::ref(source)); });
}

ct_status ct_where(ct_tensor condition, ct_tensor a, ct_tensor b, ct_tensor *out) {
  return ct::produce(out, [&] { return at::where(ct::ref(condition), ct::ref(a), ct::ref(b)); });
}

ct_status ct_masked_fill(ct_tensor a, ct_tensor mask, double value, ct_tensor *out) {
  return ct::produce(out, [&] { return at::masked_fill(ct::ref(a), ct::ref(mask), at::Scalar(value)); });
}

ct_status ct_equal(ct_tensor a, ct_tensor b, bool *out) {
  return ct::answer(out, [&] { return at::equal(ct::ref(a), ct::ref(b)); });
}

ct_status ct_copy_into(ct_tensor a, ct_tensor b) {
  return ct::guarded([&] {
    const auto &target = ct::ref(a), &source = ct::ref(b);
    TORCH_CHECK(target.sizes() == source.sizes(), "a tensor of shape ", source.sizes(), " cannot overwrite one of ",
                target.sizes());
    target.copy_(source);
  });
}

ct_status ct_add_into(ct_tensor a, ct_tensor b, double scale) {
  return ct::guarded([&] { ct::ref(a).add_(ct::ref(b), at::Scalar(scale)); });
}

ct_status ct_scale_into(ct_tensor a, double scale) {
  return ct::guarded([&] { ct::ref(a).mul_(at::Scalar(scale)); });
}

ct_status ct_fill_into(ct_tensor a, double value) {
  return ct::guarded([&] { ct::ref(a).fill_(at::Scalar(value)); });
}
