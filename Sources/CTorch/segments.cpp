#include "segments.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Segments of like length that are padded to the longest of them.
struct Bucket {
  int64_t count = 0, length = 0;
  /// The token of each place, [count·length]; places behind a segment's end repeat its last token.
  at::Tensor places;
  /// The places that hold a token of their own, and those tokens.
  at::Tensor real, tokens;
};

/// Sorts segments by length and cuts where padding would pass an eighth of the longest.
std::vector<Bucket> buckets(const std::vector<int64_t> &lengths) {
  std::vector<int64_t> starts(lengths.size()), order(lengths.size());
  std::exclusive_scan(lengths.begin(), lengths.end(), starts.begin(), int64_t{0});
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
  std::vector<Bucket> found;
  for (size_t first = 0; first < order.size();) {
    Bucket bucket;
    const int64_t longest = lengths[order[first]];
    // Kernels are made for each shape: few lengths, few kernels.
    bucket.length = (longest + 15) / 16 * 16;
    const int64_t shortest = longest - std::max<int64_t>(longest / 8, 16);
    std::vector<int64_t> places, real, tokens;
    for (; first < order.size() && lengths[order[first]] >= shortest; ++first, ++bucket.count) {
      const int64_t start = starts[order[first]], length = lengths[order[first]];
      for (int64_t i = 0; i < bucket.length; ++i) {
        if (i < length) {
          real.push_back(bucket.count * bucket.length + i);
          tokens.push_back(start + i);
        }
        places.push_back(start + std::min(i, length - 1));
      }
    }
    bucket.places = at::tensor(places, at::kLong);
    bucket.real = at::tensor(real, at::kLong);
    bucket.tokens = at::tensor(tokens, at::kLong);
    found.push_back(std::move(bucket));
  }
  return found;
}

/// The rows of a bucket as [N·Hk, G·L, D]: heads that share a key head lie under each other, so that keys need no copy for each.
at::Tensor gather(const at::Tensor &flat, const Bucket &bucket, int64_t key_heads) {
  const auto groups = flat.size(1) / key_heads, width = flat.size(2);
  return flat.index_select(0, bucket.places)
      .view({bucket.count, bucket.length, key_heads, groups, width})
      .permute({0, 2, 3, 1, 4})
      .reshape({bucket.count * key_heads, groups * bucket.length, width});
}

/// Puts a bucket's rows [N·Hk, G·L, D] back where their tokens stand in the flat row.
void scatter(const at::Tensor &flat, const Bucket &bucket, int64_t key_heads, const at::Tensor &rows) {
  const auto groups = flat.size(1) / key_heads, width = flat.size(2);
  const auto ordered = rows.view({bucket.count, key_heads, groups, bucket.length, width})
                           .permute({0, 3, 1, 2, 4})
                           .reshape({bucket.count * bucket.length, key_heads * groups, width});
  flat.index_copy_(0, bucket.tokens, ordered.index_select(0, bucket.real).to(flat.scalar_type()));
}

/// True where a query must not look, [1, 1, L, L]. Padding lies behind every token, so that this hides it too.
at::Tensor hidden(int64_t length, int64_t window) {
  auto mask = at::ones({length, length}, at::kBool).triu(1);
  if (window > 0 && window < length) mask.logical_or_(at::ones({length, length}, at::kBool).tril(-window));
  return mask.view({1, 1, length, length});
}

/// softmax(q·kᵀ·scale) with what is hidden at 0, in float32. [N·Hk, G·L, L].
at::Tensor weights(const at::Tensor &q, const at::Tensor &k, const at::Tensor &mask, int64_t length, double scale) {
  auto scores = at::bmm(q, k.transpose(1, 2)).to(at::kFloat).mul_(scale);
  scores.view({q.size(0), -1, length, length}).masked_fill_(mask, -std::numeric_limits<float>::infinity());
  return at::softmax(scores, -1);
}

struct BatchedSegments : torch::autograd::Function<BatchedSegments> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
                            const ct::Segments &segments) {
    const auto heads = k.size(1);
    auto out = at::empty_like(q);
    for (const auto &bucket : buckets(segments.lengths)) {
      const auto p = weights(gather(q, bucket, heads), gather(k, bucket, heads), hidden(bucket.length, segments.window),
                             bucket.length, segments.scale);
      scatter(out, bucket, heads, at::bmm(p.to(v.scalar_type()), gather(v, bucket, heads)));
    }
    ctx->save_for_backward({q, k, v});
    ctx->saved_data["lengths"] = segments.lengths;
    ctx->saved_data["window"] = segments.window;
    ctx->saved_data["scale"] = segments.scale;
    return out;
  }

  /// The weights are made again from q and k, which is cheaper than keeping them. With P the weights: dV = Pᵀ·dO,
  /// dS the gradient of softmax for dO·Vᵀ, dQ = dS·K·scale, dK = dSᵀ·Q·scale. Rows of padding have dO = 0 and add nothing.
  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2];
    const auto window = ctx->saved_data["window"].toInt();
    const auto scale = ctx->saved_data["scale"].toDouble();
    const auto heads = k.size(1);
    const auto grad = grads[0].contiguous();
    auto dq = at::empty_like(q), dk = at::empty_like(k), dv = at::empty_like(v);
    for (const auto &bucket : buckets(ctx->saved_data["lengths"].toIntVector())) {
      const auto query = gather(q, bucket, heads), key = gather(k, bucket, heads), value = gather(v, bucket, heads);
      const auto padding = at::ones({bucket.count * bucket.length}, at::kBool).index_fill_(0, bucket.real, false);
      const auto d_out = gather(grad, bucket, heads)
                             .view({bucket.count, heads, -1, bucket.length, grad.size(2)})
                             .masked_fill_(padding.view({bucket.count, 1, 1, bucket.length, 1}), 0)
                             .view({bucket.count * heads, -1, grad.size(2)});
      const auto p = weights(query, key, hidden(bucket.length, window), bucket.length, scale);
      const auto narrow = p.to(v.scalar_type());
      scatter(dv, bucket, heads, at::bmm(narrow.transpose(1, 2), d_out));
      const auto d_p = at::bmm(d_out, value.transpose(1, 2)).to(at::kFloat);
      const auto d_scores = at::_softmax_backward_data(d_p, p, -1, at::kFloat).mul_(scale);
      const auto ds = d_scores.to(q.scalar_type());
      scatter(dq, bucket, heads, at::bmm(ds, key));
      scatter(dk, bucket, heads, at::bmm(ds.transpose(1, 2), query));
    }
    return {dq, dk, dv, at::Tensor()};
  }
};

}  // namespace

at::Tensor ct::batched_segment_attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
                                         const Segments &segments) {
  return BatchedSegments::apply(q, k, v, segments);
}
