#include "product.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>

#include "ct_system.h"
#include "parallel.h"
#include "rows.h"

namespace {

using ct::tiles::Operand;
using ct::tiles::side;

/// Depth of the part of a product whose operands stay in the first cache.
constexpr int64_t steps_at_once = 8;

/// Columns that one task packs and multiplies: many where there are enough tasks for all threads even so.
int64_t panel_columns(int64_t columns) {
  const int64_t tasks = 4 * at::get_num_threads();
  for (int64_t width : {4 * side, 2 * side})
    if (columns >= tasks * width) return width;
  return columns >= 2 * tasks * side ? 2 * side : side;
}

/// One task's work: a panel of columns over all rows.
struct Panel {
  const at::Tensor &left, &out;
  const Operand &right;
  const ct::SmallTerm *small;
  const float *bias;
  int64_t first, columns;

  int64_t rows() const { return left.size(0); }

  void run() const {
    const int64_t width = ct::tiles::steps(columns) * side;
    const int64_t depth = ct::tiles::steps(right.depth);
    ct::tiles::Buffer<uint16_t> packed(ct::tiles::packed_size(right.depth, columns));
    ct::tiles::Buffer<uint16_t> packed_small(small ? ct::tiles::packed_size(small->right.depth, columns) : 0);
    ct::tiles::Buffer<float> results(2 * side * width);
    ct::tiles::Buffer<uint16_t> edge(side * std::max(left.size(1), small ? small->left.size(1) : 0));
    ct::tiles::pack(right, first, columns, packed.data());
    if (small) ct::tiles::pack(small->right, first, columns, packed_small.data());
    const ct::tiles::Session session;
    for (int64_t row = 0; row < rows(); row += side) {
      const int64_t count = std::min(side, rows() - row);
      multiply(left, row, count, edge.data(), packed.data(), depth, width, results.data(), false);
      if (small) add_small(row, count, edge.data(), packed_small.data(), width, results.data());
      store(row, count, width, results.data());
    }
  }

  /// Rows row ..< row + count of `matrix`, with rows of zeros after them where they are fewer than a block's.
  static const uint16_t *block_rows(const at::Tensor &matrix, int64_t row, int64_t count, uint16_t *edge) {
    const int64_t stride = matrix.size(1);
    const auto *source = static_cast<const uint16_t *>(matrix.data_ptr()) + row * stride;
    if (count == side) return source;
    std::memset(edge, 0, static_cast<size_t>(side * stride) * sizeof *edge);
    std::memcpy(edge, source, static_cast<size_t>(count * stride) * sizeof *edge);
    return edge;
  }

  void multiply(const at::Tensor &matrix, int64_t row, int64_t count, uint16_t *edge, const uint16_t *panel, int64_t depth,
                int64_t width, float *results, bool add) const {
    const uint16_t *source = block_rows(matrix, row, count, edge);
    for (int64_t step = 0; step < depth; step += steps_at_once)
      for (int64_t j = 0; j < width; j += side)
        ct::tiles::multiply(source + step * side, matrix.size(1), panel + (j / side * depth + step) * side * side,
                            std::min(steps_at_once, depth - step), results + j, width, add || step > 0);
  }

  void add_small(int64_t row, int64_t count, uint16_t *edge, const uint16_t *panel, int64_t width, float *results) const {
    const int64_t depth = ct::tiles::steps(small->right.depth);
    if (!small->dropout.active()) {
      multiply(small->left, row, count, edge, panel, depth, width, results, true);
      return;
    }
    float *term = results + side * width;
    multiply(small->left, row, count, edge, panel, depth, width, term, false);
    for (int64_t i = 0; i < count; ++i) {
      const auto place = static_cast<uint64_t>((row + i) * right.columns + first);
      ct::rows::drop(term + i * width, term + i * width, small->dropout, place, columns);
      ct::rows::add(term + i * width, results + i * width, columns);
    }
  }

  void store(int64_t row, int64_t count, int64_t width, float *results) const {
    for (int64_t i = 0; i < count; ++i) {
      float *source = results + i * width;
      if (bias) ct::rows::add(bias + first, source, columns);
      const int64_t place = (row + i) * right.columns + first;
      if (out.scalar_type() == at::kFloat)
        std::memcpy(out.data_ptr<float>() + place, source, static_cast<size_t>(columns) * sizeof *source);
      else
        ct::rows::narrow(source, static_cast<uint16_t *>(out.data_ptr()) + place, columns);
    }
  }
};

}  // namespace

bool ct::tiled(const at::Tensor &x) {
  return ct_fused_kernels() && x.is_cpu() && x.scalar_type() == at::kBFloat16 && tiles::available();
}

at::Tensor ct::padded(const at::Tensor &matrix) {
  const int64_t missing = (side - matrix.size(1) % side) % side;
  const auto narrow = matrix.to(at::kBFloat16);
  return missing == 0 ? narrow.contiguous() : at::constant_pad_nd(narrow, {0, missing}, 0);
}

ct::tiles::Operand ct::operand(const at::Tensor &stored, bool transposed, float scale) {
  const int64_t n = stored.size(0), m = stored.size(1);
  return {stored.data_ptr(), stored.stride(0), transposed ? m : n, transposed ? n : m, transposed,
          stored.scalar_type() == at::kFloat, scale};
}

at::Tensor ct::product(const at::Tensor &left, const tiles::Operand &right, at::ScalarType type, const SmallTerm *small,
                       const float *bias) {
  const auto whole = left.size(1) % side == 0 ? left : padded(left);
  auto out = at::empty({left.size(0), right.columns}, left.options().dtype(type));
  const int64_t width = panel_columns(right.columns);
  parallel_tasks((right.columns + width - 1) / width, [&](int64_t task) {
    const int64_t first = task * width;
    Panel{whole, out, right, small, bias, first, std::min(width, right.columns - first)}.run();
  });
  return out;
}
