#include "random_rounding.h"

#include <ATen/core/grad_mode.h>

#include <cstring>

#include "boundary.h"
#include "clones.h"
#include "ct_optim.h"
#include "ct_system.h"
#include "mixing.h"
#include "pieces.h"
#include "rehearsal.h"

namespace {

constexpr uint32_t exponent = 0x7f800000u;

/// The two words of a key that a place is mixed with.
struct Key {
  uint32_t low, high;
  explicit Key(uint64_t noise)
      : low(ct::mix(static_cast<uint32_t>(noise))), high(ct::mix(static_cast<uint32_t>(noise >> 32) ^ low)) {}
};

CT_CLONES void round_row(const float *in, uint16_t *out, Key key, uint64_t place, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t at = place + static_cast<uint64_t>(i);
    const uint32_t random = ct::mix(ct::mix(static_cast<uint32_t>(at) ^ key.low) + key.high + static_cast<uint32_t>(at >> 32));
    uint32_t bits;
    std::memcpy(&bits, in + i, sizeof bits);
    const bool finite = (bits & exponent) != exponent;
    // A NaN keeps a bit of its payload.
    const uint32_t kept = (bits & 0xffffu) != 0 && (bits & 0x7f0000u) == 0 && !finite ? bits | 0x400000u : bits;
    out[i] = static_cast<uint16_t>((finite ? bits + (random & 0xffffu) : kept) >> 16);
  }
}

/// `ct::mix` on words held in int64.
at::Tensor mixed(at::Tensor x) {
  constexpr int64_t word = 0xffffffff;
  x = at::bitwise_xor(x, at::bitwise_right_shift(x, 16)).mul_(0x7feb352d).bitwise_and_(word);
  x = at::bitwise_xor(x, at::bitwise_right_shift(x, 15)).mul_(int64_t{0x846ca68b}).bitwise_and_(word);
  return at::bitwise_xor(x, at::bitwise_right_shift(x, 16));
}

}  // namespace

void ct::round_at_random(const float *in, uint16_t *out, uint64_t noise, int64_t place, int64_t n) {
  round_row(in, out, Key(noise), static_cast<uint64_t>(place), n);
}

at::Tensor ct::round_at_random(const at::Tensor &numbers, uint64_t noise) {
  constexpr int64_t word = 0xffffffff;
  const Key key(noise);
  const auto flat = numbers.contiguous().view(-1);
  if (ct::rehearsal::on_processor(flat) && ct_fused_kernels()) {
    const auto made = at::empty(numbers.sizes(), flat.options().dtype(at::kBFloat16));
    for_pieces(pieces({flat}), [&](size_t, const Piece &piece) {
      round_row(flat.const_data_ptr<float>() + piece.first, static_cast<uint16_t *>(made.data_ptr()) + piece.first, key,
                static_cast<uint64_t>(piece.first), piece.count);
    });
    return made;
  }
  const auto places = at::arange(flat.numel(), flat.options().dtype(at::kLong));
  const auto low = at::bitwise_xor(at::bitwise_and(places, word), static_cast<int64_t>(key.low));
  const auto turned = mixed(low).add_(static_cast<int64_t>(key.high)).add_(at::bitwise_right_shift(places, 32)).bitwise_and_(word);
  const auto random = at::bitwise_and(mixed(turned), 0xffff);
  const auto bits = flat.view(at::kInt);
  const auto raised = (bits.to(at::kLong) + random).bitwise_and_(word).bitwise_and_(int64_t{0xffff0000});
  // Above 2³¹ is what int32 holds as negative.
  const auto whole = at::where(raised >= (int64_t{1} << 31), raised - (int64_t{1} << 32), raised).to(at::kInt).view(at::kFloat);
  return at::where(flat.isfinite(), whole, flat).to(at::kBFloat16).view(numbers.sizes());
}

ct_status ct_round_at_random(ct_tensor numbers, uint64_t noise, ct_tensor *out) {
  return ct::produce(out, [&] {
    at::NoGradGuard frozen;
    const auto given = ct::ref(numbers).contiguous();
    TORCH_CHECK(given.scalar_type() == at::kFloat, "float32 is rounded at random, not ", given.scalar_type());
    return ct::round_at_random(given, noise);
  });
}
