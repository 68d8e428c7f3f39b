#include "noise.h"

#include <ATen/CPUGeneratorImpl.h>

#include <mutex>

#include "clones.h"
#include "mixing.h"

ct::Dropout ct::draw_dropout(double share) {
  if (share <= 0) return {};
  auto generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return {at::check_generator<at::CPUGeneratorImpl>(generator)->random64(), share};
}

// One number of 32 bits decides over two elements 16 apart, half of it over each.
CT_CLONES void ct::rows::drop(const float *x, float *out, const Dropout &dropout, uint64_t row, int64_t column, int64_t n) {
  const uint64_t place = dropout.key + row * 0x9e3779b97f4a7c15u;
  const uint32_t low = mix(static_cast<uint32_t>(place)), high = mix(static_cast<uint32_t>(place >> 32) ^ low);
  const auto share = static_cast<uint32_t>(dropout.share * 65536 + 0.5);
  const float scale = dropout.scale();
  const auto start = static_cast<uint32_t>(column / 2);
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    uint32_t bits[16];
    for (uint32_t j = 0; j < 16; ++j) bits[j] = mix((start + static_cast<uint32_t>(i / 2) + j) * 0x9e3779b9u ^ low) + high;
    CT_ELEMENTWISE
    for (int64_t j = 0; j < 16; ++j) out[i + j] = (bits[j] & 0xffffu) >= share ? x[i + j] * scale : 0.0f;
    CT_ELEMENTWISE
    for (int64_t j = 0; j < 16; ++j) out[i + 16 + j] = (bits[j] >> 16) >= share ? x[i + 16 + j] * scale : 0.0f;
  }
  for (int64_t first = i; i < n; ++i) {
    const auto j = static_cast<uint32_t>((i - first) % 16);
    const uint32_t bits = mix((start + static_cast<uint32_t>(first / 2) + j) * 0x9e3779b9u ^ low) + high;
    const uint32_t half = i - first < 16 ? bits & 0xffffu : bits >> 16;
    out[i] = half >= share ? x[i] * scale : 0.0f;
  }
}
