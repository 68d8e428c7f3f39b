#include "noise.h"

#include <ATen/CPUGeneratorImpl.h>

#include <mutex>

#include "clones.h"

namespace {

/// A bijection of 32 bits in which each bit of the result depends on all bits of `x`. The constants are from a search for small
/// bias: C. Wellons, "Prospecting for Hash Functions", 2018.
__attribute__((always_inline)) inline uint32_t mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  x ^= x >> 16;
  return x;
}

}  // namespace

ct::Dropout ct::draw_dropout(double share) {
  if (share <= 0) return {};
  auto generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return {at::check_generator<at::CPUGeneratorImpl>(generator)->random64(), share};
}

CT_CLONES void ct::rows::drop(const float *x, float *out, const Dropout &dropout, uint64_t first, int64_t n) {
  const auto low = static_cast<uint32_t>(dropout.key), high = static_cast<uint32_t>(dropout.key >> 32);
  const auto start = static_cast<uint32_t>(first), block = static_cast<uint32_t>(first >> 32);
  // Kept where the top 24 bits, which a float holds exactly, reach the share.
  const float share = static_cast<float>(dropout.share) * 16777216.0f, scale = dropout.scale();
  const uint32_t key = mix(high ^ block);
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t bits = mix((start + static_cast<uint32_t>(i)) * 0x9e3779b9u ^ low) ^ key;
    const auto number = static_cast<float>(static_cast<int32_t>(mix(bits) >> 8));
    out[i] = number >= share ? x[i] * scale : 0.0f;
  }
}
