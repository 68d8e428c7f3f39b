#include "ct_attention.h"

#include <algorithm>
#include <cmath>

#include "boundary.h"
#include "ct_system.h"
#include "rehearsal.h"
#include "segments.h"

namespace {

using Plan = ct::Segments;

/// A flat [T, H, D] row as [Hk, G, L, D] for tokens start ..< start + length: heads that share a key head side by side,
/// so that grouped heads need no copy of the keys.
at::Tensor queries(const at::Tensor &flat, int64_t groups, int64_t start, int64_t length) {
  const auto heads = flat.size(1), width = flat.size(2);
  return flat.narrow(0, start, length).view({length, heads / groups, groups, width}).permute({1, 2, 0, 3});
}

/// A flat [T, Hk, D] row as [Hk, G, L, D], repeated over the group by a stride of zero.
at::Tensor keys(const at::Tensor &flat, int64_t groups, int64_t start, int64_t length) {
  return flat.narrow(0, start, length).permute({1, 0, 2}).unsqueeze(1).expand({-1, groups, -1, -1});
}

/// Additive mask [L, before + L] that hides keys `window` or more before the query, where there is a window, and all after it.
at::Tensor band(int64_t length, int64_t before, int64_t window, const at::TensorOptions &options) {
  const auto all = at::ones({length, before + length}, options.dtype(at::kBool));
  auto hidden = all.triu(before + 1);
  if (window > 0) hidden.logical_or_(all.tril(before - window));
  return at::zeros(all.sizes(), options).masked_fill_(hidden, -INFINITY);
}

/// The mask of one segment: none where plain causal attention says it all.
std::optional<at::Tensor> segment_mask(const Plan &plan, int64_t length, int64_t before, const at::TensorOptions &options) {
  if (before == 0 && (plan.window <= 0 || length <= plan.window)) return std::nullopt;
  return band(length, before, plan.window, options);
}

/// libtorch's general attention, segment by segment: any device and type.
at::Tensor general_segments(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const Plan &plan) {
  const auto groups = q.size(1) / k.size(1);
  std::vector<at::Tensor> parts;
  int64_t start = 0, key_start = 0;
  for (size_t segment = 0; segment < plan.lengths.size(); ++segment) {
    const int64_t length = plan.lengths[segment], before = plan.before[segment], count = before + length;
    const auto mask = segment_mask(plan, length, before, q.options());
    const auto part = at::scaled_dot_product_attention(queries(q, groups, start, length), keys(k, groups, key_start, count),
                                                       keys(v, groups, key_start, count), mask, plan.dropout,
                                                       !mask.has_value(), plan.scale);
    parts.push_back(part.permute({2, 0, 1, 3}).reshape({length, q.size(1), q.size(2)}));
    start += length;
    key_start += count;
  }
  if (parts.empty()) return at::empty_like(q);
  return parts.size() == 1 ? parts[0] : at::cat(parts, 0);
}

void check_heads(int64_t heads, int64_t key_heads) {
  TORCH_CHECK(heads > 0 && key_heads > 0 && heads % key_heads == 0, heads, " query heads cannot share ", key_heads,
              " key heads");
}

/// The kernels read k and v as q's type from q's device.
void check_types(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v) {
  for (const auto &other : {k, v})
    TORCH_CHECK(other.scalar_type() == q.scalar_type() && other.device() == q.device(), "attention of ", q.scalar_type(), " on ",
                q.device(), " with ", other.scalar_type(), " on ", other.device());
  TORCH_CHECK(at::isFloatingType(q.scalar_type()), "attention takes floating-point types, not ", q.scalar_type());
}

void check_segments(const at::Tensor &q, const at::Tensor &k, const Plan &plan) {
  int64_t total = 0, before = 0;
  for (int64_t count : plan.before) {
    TORCH_CHECK(count >= 0 && count <= k.size(0) - before, count, " keys before a segment, of ", k.size(0));
    before += count;
  }
  for (int64_t length : plan.lengths) {
    TORCH_CHECK(length > 0 && length <= q.size(0) - total, "a segment of ", length, " tokens at token ", total, " of ", q.size(0));
    total += length;
  }
  TORCH_CHECK(total == q.size(0), "segments of ", total, " tokens over a row of ", q.size(0));
  TORCH_CHECK(total + before == k.size(0), "segments of ", total, " tokens and ", before, " keys before them over ", k.size(0),
              " keys");
  TORCH_CHECK(plan.window >= 0, "a window of ", plan.window, " tokens");
  TORCH_CHECK(plan.scale > 0, "scores scaled by ", plan.scale);
  TORCH_CHECK(plan.dropout >= 0 && plan.dropout < 1, "a dropout of ", plan.dropout);
}

/// x [T, H, D] with the features of a token side by side, as it is where they are.
at::Tensor with_whole_tokens(const at::Tensor &x) {
  const bool whole = x.dim() == 3 && x.stride(2) == 1 && x.stride(1) == x.size(2);
  return whole ? x : x.contiguous();
}

}  // namespace

ct_status ct_attention(ct_tensor q, ct_tensor k, ct_tensor v, ct_tensor mask, bool causal, double dropout, double scale,
                       ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto &query = ct::ref(q), &key = ct::ref(k), &value = ct::ref(v);
    TORCH_CHECK(query.dim() == 4 && key.dim() == 4 && value.dim() == 4 && query.size(0) == key.size(0) &&
                    query.size(3) == key.size(3) && key.sizes().slice(0, 3) == value.sizes().slice(0, 3),
                "attention takes q [B, H, S, D] and k, v [B, Hk, K, D], not ", query.sizes(), ", ", key.sizes(), ", ",
                value.sizes());
    check_heads(query.size(1), key.size(1));
    check_types(query, key, value);
    return at::scaled_dot_product_attention(query, key, value, ct::optional(mask), dropout, causal, scale,
                                            /*enable_gqa=*/query.size(1) != key.size(1));
  });
}

ct_status ct_segment_attention(ct_tensor q, ct_tensor k, ct_tensor v, const int64_t *lengths, const int64_t *before,
                               int64_t count, int64_t window, double dropout, double scale, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto query = with_whole_tokens(ct::ref(q)), key = with_whole_tokens(ct::ref(k)), value = with_whole_tokens(ct::ref(v));
    TORCH_CHECK(query.dim() == 3 && key.dim() == 3 && key.sizes() == value.sizes() && query.size(2) == key.size(2) &&
                    query.size(2) > 0,
                "segment attention takes q [T, H, D] and k, v [K, Hk, D], not ", query.sizes(), ", ", key.sizes(), ", ",
                value.sizes());
    check_heads(query.size(1), key.size(1));
    const auto first = before == nullptr ? std::vector<int64_t>(static_cast<size_t>(std::max<int64_t>(count, 0)))
                                         : ct::sizes(before, count).vec();
    const Plan plan{ct::sizes(lengths, count).vec(), first, window, scale, dropout};
    check_types(query, key, value);
    check_segments(query, key, plan);
    // In a rehearsal for a GPU, too: what is kept is what libtorch's attention keeps there, which never has all weights at once.
    const bool own = ct_fused_kernels() && (ct::rehearsal::on_processor(query) || query.is_meta()) && query.numel() > 0;
    if (own && (query.scalar_type() == at::kFloat || query.scalar_type() == at::kBFloat16))
      return ct::segment_attention(query, key, value, plan);
    return general_segments(query, key, value, plan);
  });
}
