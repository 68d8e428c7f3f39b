#include "segments.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "noise.h"
#include "parallel.h"
#include "right.h"
#include "rows.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void to_float(const uint16_t *in, float *out, int64_t n) { ct::rows::widen(in, out, n); }
void to_float(const float *in, float *out, int64_t n) { std::copy(in, in + n, out); }
void from_float(const float *in, uint16_t *out, int64_t n) { ct::rows::narrow(in, out, n); }
void from_float(const float *in, float *out, int64_t n) { std::copy(in, in + n, out); }

int64_t rounded(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// Sizes of a call, and the tensors as memory.
template <typename Number>
struct Call {
  int64_t tokens, key_tokens, heads, key_heads, width;
  /// Numbers from one token to the next: q, k and v may be parts of one projection's result.
  int64_t q_stride, k_stride, v_stride;
  const ct::Segments &segments;
  ct::Dropout dropout;
  const Number *q, *k, *v;

  Call(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value, const ct::Segments &plan, const ct::Dropout &noise)
      : tokens(query.size(0)), key_tokens(key.size(0)), heads(query.size(1)), key_heads(key.size(1)), width(query.size(2)),
        q_stride(query.stride(0)), k_stride(key.stride(0)), v_stride(value.stride(0)), segments(plan), dropout(noise), q(memory(query)), k(memory(key)), v(memory(value)) {}

  static Number *memory(const at::Tensor &tensor) { return static_cast<Number *>(tensor.data_ptr()); }
};

/// One head of one segment.
template <typename Right>
struct Head {
  using Number = typename Right::Number;

  const Call<Number> &call;
  int64_t head, start, length, key_start, before;

  int64_t keys_count() const { return before + length; }
  int64_t key_head() const { return head / (call.heads / call.key_heads); }
  /// Where the query at `i` is in a tensor like q with tokens `stride` apart.
  int64_t place(int64_t i, int64_t stride) const { return (start + i) * stride + head * call.width; }
  /// The same in tensors of this operation's own, which have no gaps.
  int64_t query_place(int64_t i) const { return place(i, call.heads * call.width); }
  /// Where the keys or values of this head begin, with tokens `stride` apart.
  int64_t key_place(int64_t stride) const { return key_start * stride + key_head() * call.width; }
  /// Columns of scratch that hold one entry a key.
  int64_t key_columns() const { return rounded(keys_count(), 32); }
  int64_t padded_width() const { return rounded(call.width, Right::multiple); }
  /// Rows of scratch for `rows` queries.
  static int64_t padded_rows(int64_t rows) { return rounded(rows, Right::multiple); }

  /// The first key that the query at `i` sees.
  int64_t oldest(int64_t i) const {
    return call.segments.window > 0 ? std::max<int64_t>(0, before + i - call.segments.window + 1) : 0;
  }
  /// The end of the keys that the queries before `i` see.
  int64_t end(int64_t i) const { return before + i; }
  /// Drops some of the weights of the query at `i`; `weights` begins at `first`, a multiple of 32, and matters up to `end`.
  void drop(float *weights, int64_t i, int64_t first, int64_t end) const {
    if (!call.dropout.active()) return;
    ct::rows::drop(weights, weights, call.dropout, static_cast<uint64_t>(head * call.tokens + start + i), first, end - first);
  }

  /// Rows i ..< i + rows of one of the tensors of queries, side by side, with zeros up to whole blocks.
  void gather(const Number *source, int64_t stride, int64_t i, int64_t rows, Number *out) const {
    const int64_t across = padded_width();
    std::memset(out, 0, static_cast<size_t>(padded_rows(rows) * across) * sizeof *out);
    for (int64_t row = 0; row < rows; ++row)
      std::copy_n(source + place(i + row, stride), call.width, out + row * across);
  }

  /// `in` [rows, width] the other way round, with `rows` rounded up.
  void turn(const Number *in, int64_t rows, Number *out) const {
    const int64_t across = padded_width(), down = padded_rows(rows);
    for (int64_t column = 0; column < across; ++column)
      for (int64_t row = 0; row < down; ++row) out[column * down + row] = in[row * across + column];
  }

  Right keys(bool columns_first) const {
    const Number *first = call.k + key_place(call.k_stride);
    return columns_first ? Right(first, call.k_stride, call.width, keys_count(), true)
                         : Right(first, call.k_stride, keys_count(), call.width, false);
  }

  Right values(bool columns_first) const {
    const Number *first = call.v + key_place(call.v_stride);
    return columns_first ? Right(first, call.v_stride, call.width, keys_count(), true)
                         : Right(first, call.v_stride, keys_count(), call.width, false);
  }
};

/// Puts a row of weights, made for keys from ..< to, among zeros: columns first ..< end of scratch.
template <typename Number>
void place_row(const float *weights, int64_t from, int64_t to, int64_t first, int64_t end, Number *out) {
  std::fill(out, out + from - first, Number{});
  from_float(weights, out + from - first, to - from);
  std::fill(out + to - first, out + end - first, Number{});
}

/// The forward pass of one head of one segment; keeps ln Σ exp(score) of each query.
template <typename Right>
class Forward {
  using Number = typename Right::Number;
  static constexpr int64_t block = 32;

 public:
  Forward(const Head<Right> &head, Number *out, float *logsumexp)
      : head_(head), out_(out), logsumexp_(logsumexp), keys_(head.keys(true)),
        values_(head.values(false)), queries_(block * head.padded_width()), weights_(block * head.key_columns()), scores_(block * head.key_columns()),
        results_(block * rounded(head.call.width, 32)) {}

  void run() {
    const typename Right::Session session;
    for (int64_t i = 0; i < head_.length; i += block) queries(i, std::min(block, head_.length - i));
  }

 private:
  void queries(int64_t i, int64_t rows) {
    const auto &call = head_.call;
    const int64_t first = head_.oldest(i) / 32 * 32, end = head_.end(i + rows), columns = head_.key_columns();
    const int64_t across = head_.padded_width(), result_stride = rounded(call.width, 32);
    head_.gather(call.q, call.q_stride, i, rows, queries_.data());
    keys_.multiply(queries_.data(), across, rows, 0, call.width, first, end, scores_.data(), columns, false);
    float sums[block];
    for (int64_t row = 0; row < rows; ++row) sums[row] = weigh(i + row, first, end, row);
    values_.multiply(weights_.data(), columns, rows, first, end, 0, call.width, results_.data(), result_stride, false);
    for (int64_t row = 0; row < rows; ++row) {
      float *result = results_.data() + row * result_stride;
      ct::rows::scale(result, 1 / sums[row], result, call.width);
      from_float(result, out_ + head_.query_place(i + row), call.width);
    }
  }

  /// exp(score − largest) of one query, and their sum, before the dropout.
  float weigh(int64_t i, int64_t first, int64_t end, int64_t row) {
    const auto &call = head_.call;
    const int64_t from = head_.oldest(i), to = head_.end(i + 1);
    float *scores = scores_.data() + row * head_.key_columns() + from - first;
    const auto scale = static_cast<float>(call.segments.scale);
    const float top = ct::rows::largest(scores, to - from) * scale;
    const float sum = ct::rows::exponentials(scores, scale, top, to - from);
    logsumexp_[head_.head * call.tokens + head_.start + i] = top + std::log(sum);
    head_.drop(scores - (from - first), i, first, to);
    place_row(scores, from, to, first, first + rounded(end - first, 32), weights_.data() + row * head_.key_columns());
    return sum;
  }

  const Head<Right> &head_;
  Number *out_;
  float *logsumexp_;
  Right keys_, values_;
  ct::tiles::Buffer<Number> queries_, weights_;
  ct::tiles::Buffer<float> scores_, results_;
};

/// What the backward pass reads and writes beside q, k and v.
template <typename Number>
struct Gradients {
  const Number *out, *grad;
  const float *logsumexp;
  Number *dq;
  /// [H, K, D] with K keys: what each query head gives to its keys and values.
  float *dk, *dv;
};

/// The backward pass of one head of one segment. With P the weights, m the dropout's mask and scale, g the gradient of the
/// result: dV = (m∘P)ᵀ·g; dS = P∘(m∘(g·Vᵀ) − Σ g∘out)·scale; dQ = dS·K; dK = dSᵀ·Q.
template <typename Right>
class Backward {
  using Number = typename Right::Number;

 public:
  Backward(const Head<Right> &head, const Gradients<Number> &gradients)
      : head_(head), gradients_(gradients), block_(head.keys_count() > 1024 ? 32 : 64), columns_(head.key_columns()),
        across_(head.padded_width()), keys_(head.keys(true)), values_(head.values(true)),
        key_rows_(head.keys(false)), queries_(block_ * across_), grads_(block_ * across_), turned_(block_ * across_),
        weights_(block_ * columns_), d_scores_(block_ * columns_), scores_(block_ * columns_), d_weights_(block_ * columns_),
        results_(block_ * rounded(across_, 32)), dk_(across_ * columns_), dv_(across_ * columns_) {}

  void run() {
    const typename Right::Session session;
    std::fill_n(dk_.data(), across_ * columns_, 0.0f);
    std::fill_n(dv_.data(), across_ * columns_, 0.0f);
    for (int64_t i = 0; i < head_.length; i += block_) queries(i, std::min(block_, head_.length - i));
    hand_over(dk_.data(), gradients_.dk);
    hand_over(dv_.data(), gradients_.dv);
  }

 private:
  void queries(int64_t i, int64_t rows) {
    const auto &call = head_.call;
    const int64_t first = head_.oldest(i) / 32 * 32, end = head_.end(i + rows);
    head_.gather(call.q, call.q_stride, i, rows, queries_.data());
    head_.gather(gradients_.grad, call.heads * call.width, i, rows, grads_.data());
    keys_.multiply(queries_.data(), across_, rows, 0, call.width, first, end, scores_.data(), columns_, false);
    values_.multiply(grads_.data(), across_, rows, 0, call.width, first, end, d_weights_.data(), columns_, false);
    for (int64_t row = 0; row < rows; ++row) weigh(i + row, first, end, row);
    const int64_t stride = rounded(across_, 32);
    key_rows_.multiply(d_scores_.data(), columns_, rows, first, end, 0, call.width, results_.data(), stride, false);
    for (int64_t row = 0; row < rows; ++row)
      from_float(results_.data() + row * stride, gradients_.dq + head_.query_place(i + row), call.width);
    gather_keys(queries_, d_scores_, rows, first, end, dk_.data());
    gather_keys(grads_, weights_, rows, first, end, dv_.data());
  }

  /// Adds leftᵀ·right, with left [rows, width] and right [rows, keys], to `sum` [width, keys].
  void gather_keys(ct::tiles::Buffer<Number> &left, ct::tiles::Buffer<Number> &right, int64_t rows, int64_t first, int64_t end,
                   float *sum) {
    head_.turn(left.data(), rows, turned_.data());
    Right packed(right.data(), columns_, rows, end - first, false);
    packed.multiply(turned_.data(), Head<Right>::padded_rows(rows), across_, 0, rows, 0, end - first, sum + first, columns_, true);
  }

  /// Weights and gradients of scores of one query.
  void weigh(int64_t i, int64_t first, int64_t end, int64_t row) {
    const auto &call = head_.call;
    const int64_t from = head_.oldest(i), to = head_.end(i + 1), count = to - from;
    float *scores = scores_.data() + row * columns_ + from - first;
    float *d_weights = d_weights_.data() + row * columns_ + from - first;
    const auto scale = static_cast<float>(call.segments.scale);
    ct::rows::exponentials(scores, scale, gradients_.logsumexp[head_.head * call.tokens + head_.start + i], count);
    head_.drop(d_weights - (from - first), i, first, to);
    ct::rows::softmax_gradient(scores, d_weights, output_product(i), scale, d_weights, count);
    head_.drop(scores - (from - first), i, first, to);
    const int64_t whole = first + rounded(end - first, 32);
    place_row(scores, from, to, first, whole, weights_.data() + row * columns_);
    place_row(d_weights, from, to, first, whole, d_scores_.data() + row * columns_);
  }

  /// Σ g∘out of one query.
  float output_product(int64_t i) {
    const int64_t place = head_.query_place(i), width = head_.call.width;
    to_float(gradients_.out + place, results_.data(), width);
    to_float(gradients_.grad + place, results_.data() + width, width);
    return ct::rows::dot(results_.data(), results_.data() + width, width);
  }

  /// Writes sums [width, keys] as rows of keys.
  void hand_over(const float *sum, float *out) const {
    const int64_t width = head_.call.width;
    float *rows = out + (head_.head * head_.call.key_tokens + head_.key_start) * width;
    for (int64_t key = 0; key < head_.keys_count(); ++key)
      for (int64_t column = 0; column < width; ++column) rows[key * width + column] = sum[column * columns_ + key];
  }

  const Head<Right> &head_;
  const Gradients<Number> &gradients_;
  int64_t block_, columns_, across_;
  Right keys_, values_, key_rows_;
  ct::tiles::Buffer<Number> queries_, grads_, turned_, weights_, d_scores_;
  ct::tiles::Buffer<float> scores_, d_weights_, results_, dk_, dv_;
};

/// Calls `body` for each head of each segment, on all threads, the longest first.
template <typename Right, typename Body>
void for_heads(const Call<typename Right::Number> &call, Body &&body) {
  const auto &lengths = call.segments.lengths;
  const auto &before = call.segments.before;
  std::vector<int64_t> starts(lengths.size()), before_starts(lengths.size()), order(lengths.size());
  std::exclusive_scan(lengths.begin(), lengths.end(), starts.begin(), int64_t{0});
  std::exclusive_scan(before.begin(), before.end(), before_starts.begin(), int64_t{0});
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
  ct::parallel_tasks(static_cast<int64_t>(lengths.size()) * call.heads, [&](int64_t task) {
    const int64_t segment = order[task / call.heads];
    body(Head<Right>{call, task % call.heads, starts[segment], lengths[segment], starts[segment] + before_starts[segment],
                     before[segment]});
  });
}

/// Sums what the query heads of a group give to their key head: [H, K, D] → [K, Hk, D].
at::Tensor grouped(const at::Tensor &parts, int64_t key_heads, at::ScalarType type) {
  const int64_t heads = parts.size(0), tokens = parts.size(1), width = parts.size(2);
  return parts.view({key_heads, heads / key_heads, tokens, width}).sum(1).transpose(0, 1).to(type).contiguous();
}

struct SegmentAttention : torch::autograd::Function<SegmentAttention> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
                            const ct::Segments &segments) {
    const auto dropout = ct::draw_dropout(segments.dropout);
    const auto logsumexp = at::empty({q.size(1), q.size(0)}, q.options().dtype(at::kFloat));
    auto out = at::empty(q.sizes(), q.options());
    if (q.scalar_type() == at::kFloat) run<ct::PlainRight>(q, k, v, segments, dropout, out, logsumexp);
    else run<ct::TileRight>(q, k, v, segments, dropout, out, logsumexp);
    ctx->save_for_backward({q, k, v, out, logsumexp});
    ctx->saved_data["lengths"] = segments.lengths;
    ctx->saved_data["before"] = segments.before;
    ctx->saved_data["window"] = segments.window;
    ctx->saved_data["scale"] = segments.scale;
    ctx->saved_data["dropout"] = segments.dropout;
    ctx->saved_data["key"] = static_cast<int64_t>(dropout.key);
    return out;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const ct::Segments segments{ctx->saved_data["lengths"].toIntVector(), ctx->saved_data["before"].toIntVector(),
                                ctx->saved_data["window"].toInt(), ctx->saved_data["scale"].toDouble(),
                                ctx->saved_data["dropout"].toDouble()};
    const ct::Dropout dropout{static_cast<uint64_t>(ctx->saved_data["key"].toInt()), segments.dropout};
    const auto grad = grads[0].contiguous();
    return saved[0].scalar_type() == at::kFloat ? run_backward<ct::PlainRight>(saved, grad, segments, dropout)
                                                : run_backward<ct::TileRight>(saved, grad, segments, dropout);
  }

  template <typename Right>
  static void run(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const ct::Segments &segments,
                  const ct::Dropout &dropout, const at::Tensor &out, const at::Tensor &logsumexp) {
    using Number = typename Right::Number;
    const Call<Number> call(q, k, v, segments, dropout);
    for_heads<Right>(call, [&](const Head<Right> &head) {
      Forward<Right>(head, Call<Number>::memory(out), logsumexp.data_ptr<float>()).run();
    });
  }

  template <typename Right>
  static variable_list run_backward(const variable_list &saved, const at::Tensor &grad, const ct::Segments &segments,
                                    const ct::Dropout &dropout) {
    using Number = typename Right::Number;
    const auto &q = saved[0], &k = saved[1], &out = saved[3];
    const Call<Number> call(q, k, saved[2], segments, dropout);
    auto dq = at::empty(q.sizes(), q.options());
    const auto parts = at::empty({2, q.size(1), k.size(0), q.size(2)}, q.options().dtype(at::kFloat));
    float *memory = parts.data_ptr<float>();
    const Gradients<Number> gradients{Call<Number>::memory(out), Call<Number>::memory(grad), saved[4].data_ptr<float>(),
                                      Call<Number>::memory(dq), memory, memory + parts.numel() / 2};
    for_heads<Right>(call, [&](const Head<Right> &head) { Backward<Right>(head, gradients).run(); });
    return {dq, grouped(parts[0], k.size(1), k.scalar_type()), grouped(parts[1], k.size(1), k.scalar_type()), at::Tensor()};
  }
};

}  // namespace

at::Tensor ct::segment_attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const Segments &segments) {
  return SegmentAttention::apply(q, k, v, segments);
}
