#include "product.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "ct_system.h"
#include "parallel.h"
#include "rehearsal.h"
#include "rows.h"

namespace {

using ct::Sum;
using ct::Term;
using ct::tiles::Operand;
using ct::tiles::side;

/// Bytes of a packed panel that stay in the second cache beside what is multiplied with it.
constexpr int64_t panel_bytes = 1 << 19;
/// Blocks of columns in a panel: fewer would read the left-hand side too often, more would fill the first cache with results.
constexpr int64_t fewest_blocks = 2, most_blocks = 8;

/// A panel of columns of a sum over some of its rows: what one thread packs and multiplies at a time.
struct Panel {
  const Sum *sum;
  int64_t first, width, row, row_end;
};

/// Cuts sums into panels of even size, several for each thread, by columns, and by rows too where these are too few.
std::vector<Panel> panels(const std::vector<Sum> &sums) {
  const int64_t threads = at::get_num_threads();
  std::vector<Panel> all;
  for (const auto &sum : sums) {
    int64_t depth = 0;
    for (const auto &term : sum.terms) depth += ct::tiles::steps(term.right.depth);
    const int64_t blocks = ct::tiles::steps(sum.out.size(1)), bytes = 2 * ct::tiles::block_size() * std::max<int64_t>(depth, 1);
    const int64_t most = threads * std::clamp(panel_bytes / bytes, fewest_blocks, most_blocks);
    int64_t count = threads * ((blocks + most - 1) / most);
    if (blocks >= 4 * count) count = std::max(count, 2 * threads);
    count = std::min(count, blocks);
    for (int64_t p = 0; p < count; ++p) {
      const int64_t first = p * blocks / count, end = (p + 1) * blocks / count;
      all.push_back({&sum, first * side, (end - first) * side, 0, sum.out.size(0)});
    }
  }
  const int64_t parts = (2 * threads + static_cast<int64_t>(all.size()) - 1) / std::max<int64_t>(1, static_cast<int64_t>(all.size()));
  if (threads == 1 || parts < 2) return all;
  std::vector<Panel> cut;
  for (const auto &panel : all) {
    const int64_t height = std::max(2 * side, ct::padded_size((panel.row_end + parts - 1) / parts));
    for (int64_t row = 0; row < panel.row_end; row += height)
      cut.push_back({panel.sum, panel.first, panel.width, row, std::min(panel.row_end, row + height)});
  }
  return cut;
}

/// The work on one panel.
class Work {
 public:
  explicit Work(const Panel &panel) : panel_(panel), results_(2 * side * panel.width), edge_(side * deepest(*panel.sum)) {
    for (const auto &term : panel.sum->terms) {
      packed_.emplace_back(std::make_unique<ct::tiles::Buffer<uint16_t>>(ct::tiles::packed_size(term.right.depth, panel.width)));
      ct::tiles::pack(term.right, panel.first, panel.width, packed_.back()->data());
    }
  }

  void run() {
    const ct::tiles::Session session;
    for (int64_t row = panel_.row; row < panel_.row_end; row += side) {
      const auto &terms = panel_.sum->terms;
      for (size_t i = 0; i < terms.size(); ++i) add(terms[i], packed_[i]->data(), row, i > 0);
      store(row, std::min(side, panel_.row_end - row));
    }
  }

 private:
  static int64_t deepest(const Sum &sum) {
    int64_t depth = 0;
    for (const auto &term : sum.terms) depth = std::max(depth, term.left.size(1));
    return depth;
  }

  void add(const Term &term, const uint16_t *panel, int64_t row, bool more) {
    if (!term.dropout.active()) {
      multiply(term, panel, row, results_.data(), more);
      return;
    }
    float *scratch = more ? results_.data() + side * panel_.width : results_.data();
    multiply(term, panel, row, scratch, false);
    const int64_t n = panel_.width;
    for (int64_t i = 0; i < std::min(side, panel_.row_end - row); ++i) {
      float *product = scratch + i * n;
      ct::rows::drop(product, product, term.dropout, static_cast<uint64_t>(row + i), panel_.first, n);
      if (more) ct::rows::add(product, results_.data() + i * n, n);
    }
  }

  /// The block's rows times the panel.
  void multiply(const Term &term, const uint16_t *panel, int64_t row, float *results, bool more) {
    const int64_t stride = term.left.size(1), depth = ct::tiles::steps(term.right.depth), blocks = panel_.width / side;
    const bool last = row + 2 * side > term.left.size(0);
    const int64_t share = last ? 0 : (side + blocks - 1) / blocks;
    const uint16_t *source = block_rows(term.left, row);
    for (int64_t j = 0; j < blocks; ++j) {
      const int64_t from = std::min(side, j * share);
      ct::tiles::multiply(source, stride, panel + j * depth * ct::tiles::block_size(), depth, results + j * side, panel_.width, more,
                          {source + (side + from) * stride, std::min(share, side - from)});
    }
  }

  /// 32 rows from `row` on, with rows of zeros after the last.
  const uint16_t *block_rows(const at::Tensor &matrix, int64_t row) {
    const int64_t stride = matrix.size(1), count = std::min(side, matrix.size(0) - row);
    const auto *source = static_cast<const uint16_t *>(matrix.data_ptr()) + row * stride;
    if (count == side) return source;
    std::memset(edge_.data(), 0, static_cast<size_t>(side * stride) * sizeof *source);
    std::memcpy(edge_.data(), source, static_cast<size_t>(count * stride) * sizeof *source);
    return edge_.data();
  }

  void store(int64_t row, int64_t count) {
    const auto &out = panel_.sum->out;
    const auto &bias = panel_.sum->bias;
    const int64_t columns = std::min(panel_.width, out.size(1) - panel_.first), stride = out.size(1);
    const bool wide = out.scalar_type() == at::kFloat;
    void *memory = out.data_ptr();
    for (int64_t i = 0; i < count; ++i) {
      float *source = results_.data() + i * panel_.width;
      if (bias.defined()) ct::rows::add(bias.const_data_ptr<float>() + panel_.first, source, columns);
      const int64_t place = (row + i) * stride + panel_.first;
      if (wide)
        std::memcpy(static_cast<float *>(memory) + place, source, static_cast<size_t>(columns) * sizeof *source);
      else
        ct::rows::narrow(source, static_cast<uint16_t *>(memory) + place, columns);
    }
  }

  const Panel &panel_;
  std::vector<std::unique_ptr<ct::tiles::Buffer<uint16_t>>> packed_;
  ct::tiles::Buffer<float> results_;
  ct::tiles::Buffer<uint16_t> edge_;
};

}  // namespace

void ct::add_up(const std::vector<Sum> &sums) {
  const auto work = panels(sums);
  parallel_tasks(static_cast<int64_t>(work.size()), [&](int64_t task) { Work(work[task]).run(); });
}

bool ct::tiled(const at::Tensor &x) {
  return ct_fused_kernels() && rehearsal::on_processor(x) && x.scalar_type() == at::kBFloat16;
}

int64_t ct::padded_size(int64_t size) { return tiles::steps(size) * side; }

at::Tensor ct::padded(const at::Tensor &matrix) {
  const int64_t missing = padded_size(matrix.size(1)) - matrix.size(1);
  const auto narrow = matrix.to(at::kBFloat16);
  return missing == 0 ? narrow.contiguous() : at::constant_pad_nd(narrow, {0, missing}, 0);
}

at::Tensor ct::whole_blocks(const at::Tensor &matrix) {
  const int64_t rows = matrix.size(0), columns = matrix.size(1);
  return at::constant_pad_nd(matrix, {0, padded_size(columns) - columns, 0, padded_size(rows) - rows}, 0).contiguous();
}

at::Tensor ct::turned(const at::Tensor &matrix) {
  const int64_t rows = matrix.size(0), columns = matrix.size(1), stride = padded_size(rows);
  auto out = at::empty({columns, stride}, matrix.options());
  const auto *source = static_cast<const uint16_t *>(matrix.const_data_ptr());
  auto *target = static_cast<uint16_t *>(out.data_ptr());
  parallel_for(stride / side, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin * side; row < end * side; row += side)
      for (int64_t column = 0; column < columns; column += side) {
        const uint16_t *corner = source + row * columns + column;
        if (row + side <= rows && column + side <= columns) {
          tiles::turn(corner, columns, target + column * stride + row, stride);
          continue;
        }
        for (int64_t j = 0; j < std::min(side, columns - column); ++j)
          for (int64_t i = 0; i < side; ++i)
            target[(column + j) * stride + row + i] = row + i < rows ? corner[i * columns + j] : uint16_t{0};
      }
  });
  return out;
}

ct::tiles::Operand ct::operand(const at::Tensor &stored, bool transposed, float scale) {
  const int64_t n = stored.size(0), m = stored.size(1);
  return {stored.data_ptr(), stored.stride(0), transposed ? m : n, transposed ? n : m, transposed,
          stored.scalar_type() == at::kFloat, scale};
}
