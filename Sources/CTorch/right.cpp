#include "right.h"

#include <ATen/ATen.h>

// The BLAS that libtorch brings, where it shows its face: calls of it cost a hundredth of those through libtorch's operations.
extern "C" __attribute__((weak)) void sgemm_(const char *transpose_a, const char *transpose_b, const int *m, const int *n,
                                             const int *k, const float *alpha, const float *a, const int *lda, const float *b,
                                             const int *ldb, const float *beta, float *c, const int *ldc);

namespace {

/// Numbers [rows, columns] with this stride, as a tensor that does not own them.
at::Tensor view(const float *numbers, int64_t rows, int64_t columns, int64_t stride) {
  return at::from_blob(const_cast<float *>(numbers), {rows, columns}, {stride, 1}, at::TensorOptions().dtype(at::kFloat));
}

}  // namespace

void ct::plain_product(const float *a, int64_t a_stride, const float *b, int64_t b_stride, bool columns_first, int64_t rows,
                       int64_t columns, int64_t depth, float *c, int64_t c_stride, bool add) {
  const float beta = add ? 1.0f : 0.0f;
  if (sgemm_ == nullptr) {
    auto out = view(c, rows, columns, c_stride);
    const auto right = columns_first ? view(b, columns, depth, b_stride).t() : view(b, depth, columns, b_stride);
    at::addmm_out(out, out, view(a, rows, depth, a_stride), right, beta, 1);
    return;
  }
  // The library's matrices are stored column by column: cᵀ = bᵀ·aᵀ.
  const int m = static_cast<int>(columns), n = static_cast<int>(rows), k = static_cast<int>(depth);
  const int lda = static_cast<int>(b_stride), ldb = static_cast<int>(a_stride), ldc = static_cast<int>(c_stride);
  const float one = 1;
  sgemm_(columns_first ? "T" : "N", "N", &m, &n, &k, &one, b, &lda, a, &ldb, &beta, c, &ldc);
}
