#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "boundary.h"
#include "ct_cache.h"
#include "ct_system.h"
#include "decode_attention.h"
#include "parallel.h"
#include "rows.h"

namespace {

using namespace ct::decoding;

/// New tokens of a row up to which they are looked at one by one; more are worth products of matrices.
constexpr int64_t most_queries = 16;
/// Cached tokens that are worth a task of their own.
constexpr int64_t tokens_per_task = 128;

/// A layer's blocks and which of them hold the rows of a cache.
struct Cache {
  at::Tensor keys, values;
  ct_block_table table;

  Cache(ct_tensor key_blocks, ct_tensor value_blocks, const ct_block_table *rows)
      : keys(ct::ref(key_blocks)), values(ct::ref(value_blocks)) {
    TORCH_CHECK(rows != nullptr && rows->rows > 0 && rows->width > 0 && rows->blocks != nullptr && rows->past != nullptr,
                "a cache without rows");
    table = *rows;
    TORCH_CHECK(keys.dim() == 4 && values.dim() == 4 && keys.size(0) == values.size(0) && keys.size(1) == values.size(1) &&
                    keys.size(2) == values.size(3) && keys.size(3) == values.size(2) && keys.is_contiguous() &&
                    values.is_contiguous() && keys.scalar_type() == values.scalar_type() && keys.device() == values.device(),
                "blocks are keys [N, Hk, D, T] and values [N, Hk, T, D], not ", keys.sizes(), " and ", values.sizes());
    TORCH_CHECK(keys.size(2) > 0 && keys.size(3) > 0, "blocks without room: ", keys.sizes());
    for (int64_t i = 0; i < table.rows * table.width; ++i)
      TORCH_CHECK_INDEX(table.blocks[i] >= 0 && table.blocks[i] < keys.size(0), "block ", table.blocks[i], " of ", keys.size(0));
  }

  int64_t block_tokens() const { return keys.size(3); }
  bool is_plain() const {
    return ct_fused_kernels() && keys.is_cpu() && (keys.scalar_type() == at::kFloat || keys.scalar_type() == at::kBFloat16);
  }
  Blocks blocks() const {
    return {keys.data_ptr(), values.data_ptr(), keys.scalar_type() == at::kFloat, keys.size(1), keys.size(3), keys.size(2)};
  }
  const int32_t *row(int64_t index) const { return table.blocks + index * table.width; }

  void check_room(int64_t row, int64_t count) const {
    TORCH_CHECK_INDEX(table.past[row] >= 0 && count >= 0 && table.past[row] + count <= table.width * block_tokens(), "row ", row,
                      " with ", table.past[row], " tokens has no room for ", count, " more in ", table.width, " blocks of ",
                      block_tokens());
  }

  void check_type(const at::Tensor &x) const {
    TORCH_CHECK(x.scalar_type() == keys.scalar_type() && x.device() == keys.device(), "the cache is ", keys.scalar_type(), " on ",
                keys.device(), ", and what meets it ", x.scalar_type(), " on ", x.device());
  }
};

/// The same as `put` by libtorch's own operations: the block and the place in it of every token, then one write of each kind.
void put_by_index(const Cache &cache, const at::Tensor &k, const at::Tensor &v, const int64_t *counts) {
  std::vector<int64_t> blocks, places;
  for (int64_t row = 0; row < cache.table.rows; ++row)
    for (int64_t i = cache.table.past[row]; i < cache.table.past[row] + counts[row]; ++i) {
      blocks.push_back(cache.row(row)[i / cache.block_tokens()]);
      places.push_back(i % cache.block_tokens());
    }
  const auto block = at::tensor(blocks, at::kLong).to(k.device()), place = at::tensor(places, at::kLong).to(k.device());
  cache.keys.permute({0, 3, 1, 2}).index_put_({block, place}, k);
  cache.values.permute({0, 2, 1, 3}).index_put_({block, place}, v);
}

/// Attention over what is gathered from the blocks, with a mask for rows of different lengths.
at::Tensor attend_gathered(const Cache &cache, const at::Tensor &q, int64_t window, double scale) {
  const int64_t rows = cache.table.rows, width = cache.table.width, queries = q.size(1);
  const std::vector<int64_t> ids(cache.table.blocks, cache.table.blocks + rows * width);
  const std::vector<int64_t> past(cache.table.past, cache.table.past + rows);
  const int64_t longest = *std::max_element(past.begin(), past.end()) + queries;
  const auto table = at::tensor(ids, at::kLong).to(q.device());
  const auto gathered = [&](const at::Tensor &blocks, at::IntArrayRef order) {
    const auto all = blocks.index_select(0, table);
    return all.view({rows, width, all.size(1), all.size(2), all.size(3)})
        .permute(order)
        .reshape({rows, all.size(1), width * cache.block_tokens(), q.size(3)})
        .narrow(2, 0, longest);
  };
  const auto keys = gathered(cache.keys, {0, 2, 1, 4, 3}), values = gathered(cache.values, {0, 2, 1, 3, 4});
  const auto last = at::tensor(past, at::kLong).to(q.device()).view({rows, 1, 1, 1}) +
                    at::arange(queries, q.options().dtype(at::kLong)).view({1, 1, queries, 1});
  const auto places = at::arange(longest, q.options().dtype(at::kLong)).view({1, 1, 1, longest});
  auto seen = places <= last;
  if (window > 0) seen = seen.logical_and(places > last - window);
  // What lies behind a row's end was never written, and 0 times what is no number is none.
  const auto written = (places <= last.amax(2, true)).view({rows, 1, longest, 1});
  const auto clean = [&](const at::Tensor &x) { return x.masked_fill(written.logical_not(), 0); };
  return at::scaled_dot_product_attention(q.transpose(1, 2), clean(keys), clean(values), seen, 0, false, scale,
                                          /*enable_gqa=*/q.size(2) != keys.size(1))
      .transpose(1, 2)
      .contiguous();
}

/// The new tokens one by one: a task for each row, query, key head and span of cached tokens.
class Decoding {
 public:
  Decoding(const Cache &cache, const at::Tensor &q, int64_t window, double scale)
      : cache_(cache), blocks_(cache.blocks()), window_(window), queries_(q.size(1)), heads_(q.size(2)),
        group_(q.size(2) / blocks_.heads), scaled_(q.to(at::kFloat).mul(scale)) {
    int64_t longest = 0;
    for (int64_t row = 0; row < cache.table.rows; ++row) longest = std::max(longest, span(row, queries_ - 1).second);
    const int64_t jobs = cache.table.rows * queries_ * blocks_.heads;
    const int64_t useful = (4 * at::get_num_threads() + jobs - 1) / jobs;
    spans_ = std::clamp<int64_t>(useful, 1, (longest + tokens_per_task - 1) / tokens_per_task);
    size_ = partial_size(blocks_.features);
    partials_.resize(static_cast<size_t>(cache.table.rows * queries_ * heads_ * spans_ * size_));
  }

  void run(const at::Tensor &out) {
    const int64_t jobs = cache_.table.rows * queries_ * blocks_.heads;
    ct::parallel_for(jobs * spans_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) attend(task / spans_, task % spans_);
    });
    std::vector<float> wide(static_cast<size_t>(blocks_.features));
    const int64_t n = blocks_.features;
    for (int64_t head = 0; head < out.numel() / n; ++head) {
      float *target = blocks_.is_wide ? out.data_ptr<float>() + head * n : wide.data();
      combine(partial(head / group_, 0) + head % group_ * size_, spans_, group_ * size_, n, target);
      if (!blocks_.is_wide) ct::rows::narrow(target, static_cast<uint16_t *>(out.data_ptr()) + head * n, n);
    }
  }

 private:
  const Cache &cache_;
  Blocks blocks_;
  int64_t window_, queries_, heads_, group_, spans_ = 1, size_ = 0;
  at::Tensor scaled_;
  std::vector<float> partials_;

  /// The tokens that a query of a row sees.
  std::pair<int64_t, int64_t> span(int64_t row, int64_t query) const {
    const int64_t end = cache_.table.past[row] + query + 1;
    return {window_ > 0 ? std::max<int64_t>(0, end - window_) : 0, end};
  }

  /// The results of the query heads of job (row, query, key head) for a span.
  float *partial(int64_t job, int64_t part) { return partials_.data() + (job * spans_ + part) * group_ * size_; }

  void attend(int64_t job, int64_t part) {
    const int64_t head = job % blocks_.heads, query = job / blocks_.heads % queries_, row = job / blocks_.heads / queries_;
    const auto [first, last] = span(row, query);
    const int64_t from = first + (last - first) * part / spans_, to = first + (last - first) * (part + 1) / spans_;
    const float *q = scaled_.data_ptr<float>() + ((row * queries_ + query) * heads_ + head * group_) * blocks_.features;
    ct::decoding::attend(blocks_, {q, group_, head, cache_.row(row), from, to}, partial(job, part));
  }
};

}  // namespace

ct_status ct_cache_put(ct_tensor keys, ct_tensor values, const ct_block_table *table, ct_tensor k, ct_tensor v,
                       const int64_t *counts) {
  return ct::guarded([&] {
    const at::NoGradGuard no_gradients;
    const Cache cache(keys, values, table);
    const auto key = ct::ref(k).contiguous(), value = ct::ref(v).contiguous();
    TORCH_CHECK(key.dim() == 3 && key.sizes() == value.sizes() && key.size(1) == cache.keys.size(1) && key.size(2) == cache.keys.size(2),
                "a cache of [", cache.keys.size(1), " heads, ", cache.keys.size(2), "] takes k, v [tokens, heads, features], not ",
                key.sizes(), " and ", value.sizes());
    cache.check_type(key);
    cache.check_type(value);
    TORCH_CHECK(counts != nullptr, "the numbers of tokens are null");
    int64_t total = 0;
    for (int64_t row = 0; row < cache.table.rows; ++row) {
      cache.check_room(row, counts[row]);
      total += counts[row];
    }
    TORCH_CHECK(total == key.size(0), "rows of ", total, " tokens, and ", key.size(0), " to put");
    if (!cache.is_plain()) return put_by_index(cache, key, value, counts);
    const auto *from_k = static_cast<const char *>(key.data_ptr()), *from_v = static_cast<const char *>(value.data_ptr());
    const int64_t token_bytes = key.size(1) * key.size(2) * static_cast<int64_t>(key.element_size());
    for (int64_t row = 0, offset = 0; row < cache.table.rows; offset += counts[row++])
      put(cache.blocks(), cache.row(row), cache.table.past[row], counts[row], from_k + offset * token_bytes,
          from_v + offset * token_bytes);
  });
}

ct_status ct_cached_attention(ct_tensor keys, ct_tensor values, const ct_block_table *table, ct_tensor q, int64_t window,
                              double scale, ct_tensor *out) {
  return ct::produce(out, [&] {
    const at::NoGradGuard no_gradients;
    const Cache cache(keys, values, table);
    const auto query = ct::ref(q).contiguous();
    TORCH_CHECK(query.dim() == 4 && query.size(0) == cache.table.rows && query.size(1) > 0 &&
                    query.size(3) == cache.keys.size(2) && query.size(2) > 0 && query.size(2) % cache.keys.size(1) == 0,
                "a cache of ", cache.table.rows, " rows, ", cache.keys.size(1), " heads of ", cache.keys.size(2),
                " features takes q [rows, tokens, heads, features], not ", query.sizes());
    cache.check_type(query);
    for (int64_t row = 0; row < cache.table.rows; ++row) cache.check_room(row, query.size(1));
    if (!cache.is_plain() || query.size(1) > most_queries) return attend_gathered(cache, query, window, scale);
    auto result = at::empty_like(query);
    Decoding(cache, query, window, scale).run(result);
    return result;
  });
}
