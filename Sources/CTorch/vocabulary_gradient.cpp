#include <algorithm>
#include <memory>
#include <vector>

#include "parallel.h"
#include "product.h"
#include "rows.h"
#include "tiles.h"
#include "vocabulary.h"

namespace {

using ct::tiles::Buffer;
using ct::tiles::Operand;
using ct::tiles::side;

/// Hidden rows that a panel takes at a time, and tokens of the vocabulary in a panel: its shares stay in the second cache.
constexpr int64_t rows_at_once = 1024, panel_tokens = 8 * side;

/// Some rows in the gradient of the weight, packed as what its rows are multiplied with, and as what the shares are.
class HiddenRows {
  at::Tensor part_;

 public:
  HiddenRows(const at::Tensor &hidden, int64_t first, int64_t rows, const int64_t *targets, const float *log_sums,
             const float *scales)
      : part_(ct::whole_blocks(hidden.narrow(0, first, rows))), rows(rows), targets(targets + first), log_sums(log_sums + first),
        scales(scales + first), columns(ct::tiles::packed_size(part_.size(1), rows)), stacked(ct::tiles::packed_size(rows, part_.size(1))) {
    const int64_t depth = part_.size(1);
    const void *data = part_.const_data_ptr();
    ct::tiles::pack({data, depth, depth, rows, true}, 0, rows, columns.data());
    ct::tiles::pack({data, depth, rows, depth, false}, 0, depth, stacked.data());
  }

  int64_t steps() const { return ct::tiles::steps(rows); }

  const int64_t rows;
  const int64_t *const targets;
  const float *const log_sums;
  /// What the shares of each row are multiplied by.
  const float *const scales;
  Buffer<uint16_t> columns, stacked;
};

/// A panel of the vocabulary in the gradient of the weight: (softmax − one-hot)ᵀ of its tokens, times the hidden rows.
class Shares {
 public:
  /// Tokens first ..< first + count of `weight`, the whole of it as a right-hand side [V, d].
  Shares(const Operand &weight, int64_t first, int64_t count)
      : first_(first), count_(count), features_(weight.columns), depth_(ct::padded_size(weight.columns)),
        rows_(ct::padded_size(count) * depth_), shares_(ct::padded_size(count) * rows_at_once) {
    std::fill_n(rows_.data(), ct::padded_size(count) * depth_, uint16_t{0});
    for (int64_t i = 0; i < count; ++i) {
      const int64_t place = (first + i) * weight.stride;
      uint16_t *row = rows_.data() + i * depth_;
      if (weight.wide) ct::rows::narrow(static_cast<const float *>(weight.data) + place, row, features_);
      else std::copy_n(static_cast<const uint16_t *>(weight.data) + place, features_, row);
    }
  }

  /// Sets the panel's rows of the gradient [V, d] to what `hidden` gives, or adds that to them.
  void run(HiddenRows &hidden, float *gradient, bool more) {
    const ct::tiles::Session session;
    const int64_t width = hidden.steps() * side, depth_steps = depth_ / side;
    Buffer<float> scores(side * width), block(side * side);
    for (int64_t i = 0; i < count_; i += side) {
      for (int64_t j = 0; j < hidden.steps(); ++j)
        ct::tiles::multiply(rows_.data() + i * depth_, depth_, hidden.columns.data() + j * depth_steps * ct::tiles::block_size(), depth_steps,
                            scores.data() + j * side, width, false);
      weigh(hidden, i, scores.data(), width);
    }
    for (int64_t j = 0; j < depth_steps; ++j)
      for (int64_t i = 0; i < count_; i += side) {
        ct::tiles::multiply(shares_.data() + i * width, width, hidden.stacked.data() + j * hidden.steps() * ct::tiles::block_size(),
                            hidden.steps(), block.data(), side, false);
        store(block.data(), i, j * side, gradient, more);
      }
  }

 private:
  /// The shares of 32 tokens of the vocabulary in all rows.
  void weigh(const HiddenRows &hidden, int64_t i, float *scores, int64_t width) {
    for (int64_t token = i; token < i + side; ++token) {
      float *row = scores + (token - i) * width;
      ct::rows::shares(row, hidden.log_sums, hidden.scales, hidden.rows);
      std::fill(row + hidden.rows, row + width, 0.0f);
    }
    for (int64_t place = 0; place < hidden.rows; ++place) {
      const int64_t token = hidden.targets[place] - first_ - i;
      if (token >= 0 && token < side) scores[token * width + place] -= hidden.scales[place];
    }
    ct::rows::narrow(scores, shares_.data() + i * width, side * width);
  }

  void store(const float *block, int64_t row, int64_t column, float *gradient, bool more) {
    const int64_t n = std::min(side, features_ - column);
    for (int64_t i = 0; i < std::min(side, count_ - row); ++i) {
      float *target = gradient + (first_ + row + i) * features_ + column;
      if (more) ct::rows::add(block + i * side, target, n);
      else std::copy_n(block + i * side, n, target);
    }
  }

  int64_t first_, count_, features_, depth_;
  /// The panel's rows of the weight [count, depth], and their shares [count, rows], in bfloat16.
  Buffer<uint16_t> rows_, shares_;
};

}  // namespace

at::Tensor ct::vocabulary_weight_gradient(const at::Tensor &hidden, const at::Tensor &weight, const at::Tensor &targets,
                                          const at::Tensor &log_sums, const at::Tensor &d_log_probs) {
  // Shares are of softmax − one-hot, the other way round.
  const auto scales = d_log_probs.to(at::kFloat).neg().contiguous();
  const auto wide = weight.options().dtype(at::kFloat);
  auto gradient = hidden.size(0) > 0 ? at::empty(weight.sizes(), wide) : at::zeros(weight.sizes(), wide);
  std::vector<std::unique_ptr<HiddenRows>> parts;
  for (int64_t first = 0; first < hidden.size(0); first += rows_at_once)
    parts.push_back(std::make_unique<HiddenRows>(hidden, first, std::min(rows_at_once, hidden.size(0) - first),
                                                 targets.const_data_ptr<int64_t>(), log_sums.const_data_ptr<float>(),
                                                 scales.const_data_ptr<float>()));
  const auto whole = operand(weight, false);
  const int64_t panels = (weight.size(0) + panel_tokens - 1) / panel_tokens;
  parallel_tasks(panels, [&](int64_t panel) {
    const int64_t first = panel * panel_tokens;
    Shares shares(whole, first, std::min(panel_tokens, weight.size(0) - first));
    for (size_t i = 0; i < parts.size(); ++i) shares.run(*parts[i], gradient.data_ptr<float>(), i > 0);
  });
  return gradient.to(weight.scalar_type());
}
