#ifndef CT_OPS_H
#define CT_OPS_H

#include "ct_tensor.h"

/// Operations of one tensor, element by element. GELU: exact with erf, or the tanh form.
typedef enum ct_unary_op {
  CT_NEG,
  CT_ABS,
  CT_EXP,
  CT_LOG,
  CT_SQRT,
  CT_RSQRT,
  CT_SIN,
  CT_COS,
  CT_TANH,
  CT_SIGMOID,
  CT_RELU,
  CT_SILU,
  CT_GELU,
  CT_GELU_TANH,
  CT_LOG_SIGMOID,
  CT_EXPM1,
  CT_ISFINITE,
  CT_LOGICAL_NOT,
} ct_unary_op;

/// Operations of two tensors with broadcasting; comparisons give booleans.
typedef enum ct_binary_op {
  CT_ADD,
  CT_SUB,
  CT_MUL,
  CT_DIV,
  CT_POW,
  CT_MAXIMUM,
  CT_MINIMUM,
  CT_EQ,
  CT_NE,
  CT_LT,
  CT_LE,
  CT_GT,
  CT_GE,
  CT_AND,
  CT_OR,
  CT_MATMUL,
} ct_binary_op;

typedef enum ct_reduction { CT_SUM, CT_MEAN, CT_AMAX, CT_AMIN, CT_LOGSUMEXP, CT_NORM2, CT_ALL, CT_ANY } ct_reduction;

CT_API ct_status ct_unary(ct_unary_op op, ct_tensor a, ct_tensor *out);
CT_API ct_status ct_binary(ct_binary_op op, ct_tensor a, ct_tensor b, ct_tensor *out);
/// The second operand is a number; not for maximum, minimum, the logical operations and `CT_MATMUL`. A tensor of integers takes
/// whole numbers and stays one, but for a quotient, which is a fraction, and a comparison, which takes any number.
CT_API ct_status ct_binary_scalar(ct_binary_op op, ct_tensor a, double b, ct_tensor *out);
CT_API ct_status ct_clamp(ct_tensor a, double low, double high, ct_tensor *out);

/// Over the listed dimensions; over all of them where `count` is 0. The norm of a 16-bit tensor is float32.
CT_API ct_status ct_reduce(ct_reduction op, ct_tensor a, const int64_t *dims, int64_t count, bool keep, ct_tensor *out);
CT_API ct_status ct_argmax(ct_tensor a, int64_t dim, ct_tensor *out);
CT_API ct_status ct_softmax(ct_tensor a, int64_t dim, ct_tensor *out);
CT_API ct_status ct_log_softmax(ct_tensor a, int64_t dim, ct_tensor *out);
CT_API ct_status ct_cumsum(ct_tensor a, int64_t dim, ct_tensor *out);
/// Values and their indices in descending order (ascending where `largest` is false); stable.
CT_API ct_status ct_sort(ct_tensor a, int64_t dim, bool largest, ct_tensor *values, ct_tensor *indices);
CT_API ct_status ct_topk(ct_tensor a, int64_t k, int64_t dim, ct_tensor *values, ct_tensor *indices);

CT_API ct_status ct_reshape(ct_tensor a, const int64_t *shape, int64_t rank, ct_tensor *out);
CT_API ct_status ct_expand(ct_tensor a, const int64_t *shape, int64_t rank, ct_tensor *out);
CT_API ct_status ct_permute(ct_tensor a, const int64_t *dims, int64_t count, ct_tensor *out);
CT_API ct_status ct_transpose(ct_tensor a, int64_t first, int64_t second, ct_tensor *out);
CT_API ct_status ct_unsqueeze(ct_tensor a, int64_t dim, ct_tensor *out);
CT_API ct_status ct_squeeze(ct_tensor a, int64_t dim, ct_tensor *out);
/// A view of `length` elements of `dim` from `start`.
CT_API ct_status ct_narrow(ct_tensor a, int64_t dim, int64_t start, int64_t length, ct_tensor *out);
/// A view of one element of `dim`, which is dropped.
CT_API ct_status ct_select(ct_tensor a, int64_t dim, int64_t index, ct_tensor *out);
/// `count` neighbouring parts of these lengths, which add up to the size of `dim`, as views.
CT_API ct_status ct_split(ct_tensor a, const int64_t *lengths, int64_t count, int64_t dim, ct_tensor *outs);
CT_API ct_status ct_cat(const ct_tensor *parts, int64_t count, int64_t dim, ct_tensor *out);
CT_API ct_status ct_stack(const ct_tensor *parts, int64_t count, int64_t dim, ct_tensor *out);
CT_API ct_status ct_index_select(ct_tensor a, int64_t dim, ct_tensor indices, ct_tensor *out);
CT_API ct_status ct_gather(ct_tensor a, int64_t dim, ct_tensor indices, ct_tensor *out);
CT_API ct_status ct_scatter(ct_tensor a, int64_t dim, ct_tensor indices, ct_tensor source, ct_tensor *out);
CT_API ct_status ct_where(ct_tensor condition, ct_tensor a, ct_tensor b, ct_tensor *out);
CT_API ct_status ct_masked_fill(ct_tensor a, ct_tensor mask, double value, ct_tensor *out);
CT_API ct_status ct_equal(ct_tensor a, ct_tensor b, bool *out);

/// In place: `a = b` of the same shape, with conversion of dtype and device.
CT_API ct_status ct_copy_into(ct_tensor a, ct_tensor b);
/// In place: `a += scale · b`.
CT_API ct_status ct_add_into(ct_tensor a, ct_tensor b, double scale);
/// In place: `a *= scale`.
CT_API ct_status ct_scale_into(ct_tensor a, double scale);
CT_API ct_status ct_fill_into(ct_tensor a, double value);

#endif
