#include "vocabulary.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "parallel.h"
#include "product.h"
#include "rows.h"
#include "tiles.h"

namespace {

using ct::tiles::Buffer;
using ct::tiles::side;

/// Bytes of a panel, packed in both directions, that stay in the second cache.
constexpr int64_t panel_bytes = 3 << 18;
constexpr int64_t fewest_blocks = 2, most_blocks = 8;
/// Bytes of sums that a part of the vocabulary keeps at a time, which bounds the rows taken at a time.
constexpr int64_t sum_bytes = 1 << 22;
constexpr int64_t fewest_rows = 128;

/// Rows taken at a time, and the weight.
struct Call {
  /// bfloat16 [rows, depth], padded to whole blocks both ways.
  const uint16_t *hidden;
  /// The whole weight as a right-hand side [vocabulary, features], as it is stored.
  ct::tiles::Operand weight;
  int64_t rows, depth;
  bool wants_gradient;
  const int64_t *targets;

  int64_t features() const { return weight.columns; }
  int64_t vocabulary() const { return weight.depth; }

  /// Rows first ..< first + count of the weight, stored as they are or as columns.
  ct::tiles::Operand part(int64_t first, int64_t count, bool as_columns) const {
    auto part = weight;
    part.data = static_cast<const char *>(weight.data) + first * weight.stride * (weight.wide ? 4 : 2);
    part.depth = as_columns ? features() : count;
    part.columns = as_columns ? count : features();
    part.columns_first = as_columns;
    return part;
  }

  int64_t padded_rows() const { return ct::padded_size(rows); }
  int64_t panel_width() const { return std::clamp(panel_bytes / (4 * ct::tiles::packed_size(depth, side)), fewest_blocks, most_blocks) * side; }
  int64_t panels() const { return (vocabulary() + panel_width() - 1) / panel_width(); }
};

/// The softmax over a part of the vocabulary, as far as it has been seen: attention to the rows of the weight, which are keys and
/// values at once. With top the largest logit so far: sum = Σ exp(logit − top), mean = Σ exp(logit − top)·w.
///
/// One thread works on it, panel after panel, so that no sum depends on which thread was faster.
class Part {
 public:
  explicit Part(const Call &call)
      : top(static_cast<size_t>(call.rows), -std::numeric_limits<float>::infinity()), sum(static_cast<size_t>(call.rows), 0.0f),
        mean(call.wants_gradient ? call.padded_rows() * call.depth : 0), call_(call) {
    if (call.wants_gradient) std::fill_n(mean.data(), call.padded_rows() * call.depth, 0.0f);
  }

  /// Takes panels first ..< end in. Writes the logits of targets that are among them.
  void run(int64_t first, int64_t end, float *target_logits) {
    const int64_t width = call_.panel_width(), depth = call_.depth;
    Buffer<uint16_t> keys(ct::tiles::packed_size(depth, width)), values(ct::tiles::packed_size(width, depth));
    Buffer<uint16_t> shares(side * width);
    Buffer<float> logits(side * width);
    const ct::tiles::Session session;
    for (int64_t panel = first; panel < end; ++panel) {
      const int64_t start = panel * width, columns = std::min(width, call_.vocabulary() - start);
      ct::tiles::pack(call_.part(start, columns, true), 0, width, keys.data());
      if (call_.wants_gradient) ct::tiles::pack(call_.part(start, columns, false), 0, depth, values.data());
      for (int64_t row = 0; row < call_.rows; row += side) {
        score(row, keys.data(), width, logits.data());
        weigh(row, start, columns, width, logits.data(), shares.data(), target_logits);
        if (call_.wants_gradient) gather(row, shares.data(), columns, width, values.data());
      }
    }
  }

  std::vector<float> top, sum;
  /// [rows, depth], padded.
  Buffer<float> mean;

 private:
  void score(int64_t row, const uint16_t *keys, int64_t width, float *logits) {
    const int64_t steps = call_.depth / side, blocks = width / side, share = (side + blocks - 1) / blocks;
    const uint16_t *source = call_.hidden + row * call_.depth;
    const bool last = row + side >= call_.padded_rows();
    for (int64_t j = 0; j < blocks; ++j) {
      const int64_t from = std::min(side, j * share);
      ct::tiles::multiply(source, call_.depth, keys + j * steps * ct::tiles::block_size(), steps, logits + j * side, width, false,
                          {source + (side + from) * call_.depth, last ? 0 : std::min(share, side - from)});
    }
  }

  void weigh(int64_t row, int64_t start, int64_t columns, int64_t width, float *logits, uint16_t *shares, float *target_logits) {
    const int64_t count = std::min(side, call_.rows - row), whole = ct::padded_size(columns);
    for (int64_t i = 0; i < count; ++i) {
      float *scores = logits + i * width;
      const auto place = static_cast<size_t>(row + i);
      const int64_t target = call_.targets[place] - start;
      if (target >= 0 && target < columns) target_logits[place] = scores[target];
      const float before = top[place], now = std::max(before, ct::rows::largest(scores, columns));
      if (now > before) {
        const float factor = std::exp(before - now);
        sum[place] *= factor;
        float *kept = mean.data() + static_cast<int64_t>(place) * call_.depth;
        if (call_.wants_gradient && start > 0) ct::rows::scale(kept, factor, kept, call_.depth);
        top[place] = now;
      }
      sum[place] += ct::rows::exponentials(scores, 1, now, columns);
      ct::rows::narrow(scores, shares + i * width, columns);
      std::fill(shares + i * width + columns, shares + i * width + whole, uint16_t{0});
    }
    for (int64_t i = count; i < side; ++i) std::fill_n(shares + i * width, whole, uint16_t{0});
  }

  void gather(int64_t row, const uint16_t *shares, int64_t columns, int64_t width, const uint16_t *values) {
    const int64_t steps = ct::tiles::steps(columns);
    float *kept = mean.data() + row * call_.depth;
    for (int64_t j = 0; j < call_.depth; j += side) {
      for (int64_t i = 0; i < side; ++i) {  // the sums of the next block
        __builtin_prefetch(kept + i * call_.depth + j + side, 1);
        __builtin_prefetch(kept + i * call_.depth + j + side + 16, 1);
      }
      ct::tiles::multiply(shares, width, values + j / side * steps * ct::tiles::block_size(), steps, kept + j, call_.depth,
                          true);
    }
  }

  const Call &call_;
};

/// A row of the weight, as it is multiplied: rounded to bfloat16.
void weight_row(const Call &call, int64_t row, float *out) {
  const int64_t place = row * call.weight.stride, n = call.features();
  std::vector<uint16_t> rounded(static_cast<size_t>(n));
  const auto *stored = static_cast<const uint16_t *>(call.weight.data) + place;
  if (call.weight.wide) {
    ct::rows::narrow(static_cast<const float *>(call.weight.data) + place, rounded.data(), n);
    stored = rounded.data();
  }
  ct::rows::widen(stored, out, n);
}

/// What all parts of the vocabulary say of a row: their sums, brought to one largest logit.
void merge(const Call &call, const std::vector<std::unique_ptr<Part>> &parts, float *log_sums, uint16_t *d_hidden) {
  ct::parallel_for(call.rows, 16, [&](int64_t begin, int64_t end) {
    std::vector<float> total(static_cast<size_t>(call.depth)), scaled(static_cast<size_t>(call.depth));
    for (int64_t row = begin; row < end; ++row) {
      const auto place = static_cast<size_t>(row);
      float top = -std::numeric_limits<float>::infinity(), sum = 0;
      for (const auto &part : parts) top = std::max(top, part->top[place]);
      std::fill(total.begin(), total.end(), 0.0f);
      for (const auto &part : parts) {
        const float factor = std::exp(part->top[place] - top);
        sum += part->sum[place] * factor;
        if (!call.wants_gradient) continue;
        ct::rows::scale(part->mean.data() + row * call.depth, factor, scaled.data(), call.depth);
        ct::rows::add(scaled.data(), total.data(), call.depth);
      }
      log_sums[row] = top + std::log(sum);
      if (!call.wants_gradient) continue;
      weight_row(call, call.targets[row], scaled.data());
      ct::rows::norm_gradient(scaled.data(), 1, total.data(), 1 / sum, total.data(), call.features());
      ct::rows::narrow(total.data(), d_hidden + row * call.features(), call.features());
    }
  });
}

/// Some rows: their sums, the logits of their targets, and their gradients where there is room for them.
void chunk(const Call &call, float *log_sums, float *target_logits, uint16_t *d_hidden) {
  const int64_t count = std::min<int64_t>(2 * at::get_num_threads(), call.panels());
  std::vector<std::unique_ptr<Part>> parts(static_cast<size_t>(count));
  ct::parallel_tasks(count, [&](int64_t task) {
    auto &part = parts[static_cast<size_t>(task)];
    part = std::make_unique<Part>(call);
    part->run(task * call.panels() / count, (task + 1) * call.panels() / count, target_logits);
  });
  merge(call, parts, log_sums, d_hidden);
}

}  // namespace

ct::VocabularyLogProbs ct::vocabulary_log_probs(const at::Tensor &hidden, const at::Tensor &weight, const at::Tensor &targets,
                                                bool wants_gradient) {
  const int64_t n = hidden.size(0), d = hidden.size(1), depth = padded_size(d);
  const auto wide = hidden.options().dtype(at::kFloat);
  VocabularyLogProbs result{at::empty({n}, wide), {}, at::empty({n}, wide)};
  if (wants_gradient) result.d_hidden = at::empty_like(hidden);
  auto *log_probs = result.log_probs.data_ptr<float>(), *log_sums = result.log_sums.data_ptr<float>();
  const int64_t most = padded_size(std::max(fewest_rows, sum_bytes / (4 * depth)));
  for (int64_t first = 0; first < n; first += most) {
    const int64_t rows = std::min(most, n - first);
    const auto part = whole_blocks(hidden.narrow(0, first, rows));
    const Call call{static_cast<const uint16_t *>(part.const_data_ptr()), operand(weight, false), rows, depth, wants_gradient,
                    targets.const_data_ptr<int64_t>() + first};
    chunk(call, log_sums + first, log_probs + first,
          wants_gradient ? static_cast<uint16_t *>(result.d_hidden.data_ptr()) + first * d : nullptr);
  }
  for (int64_t row = 0; row < n; ++row) log_probs[row] -= log_sums[row];  // were the logits of the targets
  return result;
}
