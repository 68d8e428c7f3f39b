#include "block_codes.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "boundary.h"
#include "clones.h"
#include "ct_optim.h"
#include "vectors.h"

namespace {

/// Scales below this count as this, so that a block of zeros has a finite inverse.
constexpr float least_scale = 1e-38f;

/// Seven decades, each with twice the values of the one below: the middles of even parts of 0.1 … 1 times a power of ten; with their
/// negatives where there is a sign; and 0 and 1.
at::Tensor dynamic_values(bool is_signed) {
  constexpr int decades = 7;
  std::vector<at::Tensor> parts{at::tensor({0.0f, 1.0f})};
  for (int i = 0; i < decades; ++i) {
    const int64_t count = int64_t{1} << (is_signed ? i : i + 1);
    const auto edges = at::linspace(0.1, 1, count + 1, at::TensorOptions().dtype(at::kFloat));
    const auto middles = (edges.slice(0, 0, count) + edges.slice(0, 1)).div_(2).mul_(std::pow(10.0, i + 1 - decades));
    parts.push_back(middles);
    if (is_signed) parts.push_back(-middles);
  }
  return std::get<0>(at::cat(parts).sort());
}

float from_upper_bits(uint32_t upper, uint32_t lower) {
  const uint32_t bits = upper << 16 | lower;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

CT_CLONES float largest_magnitude(const float *x, int64_t n) {
  using namespace ct::vectors;
  Floats most = {};
  for (int64_t i = 0; i < n; i += width) {
    Floats numbers;
    load_some(x + i, n - i, numbers);
    numbers = numbers < 0.0f ? -numbers : numbers;
    most = numbers > most ? numbers : most;
  }
  float largest = 0;
  for (int64_t j = 0; j < width; ++j) largest = std::max(largest, most[j]);
  return largest;
}

/// A code is looked up by a number's upper bits and raised by one where the number lies above the one bound that is left.
CT_CLONES void look_up(const float *x, float inverse, const uint8_t *first, const float *bound, uint8_t *codes, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float scaled = std::min(1.0f, std::max(-1.0f, x[i] * inverse));
    uint32_t bits;
    std::memcpy(&bits, &scaled, sizeof bits);
    const uint8_t code = first[bits >> 16];
    codes[i] = static_cast<uint8_t>(code + (scaled > bound[code]));
  }
}

CT_CLONES void expand(const uint8_t *codes, float scale, const float *values, float *out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = values[codes[i]] * scale;
}

}  // namespace

const ct::DynamicMap &ct::DynamicMap::get(bool is_signed) {
  static const DynamicMap with(true), without(false);
  return is_signed ? with : without;
}

ct::DynamicMap::DynamicMap(bool is_signed) : first_(1 << 16) {
  at::NoGradGuard frozen;
  values_ = dynamic_values(is_signed);
  bounds_ = (values_.slice(0, 0, 255) + values_.slice(0, 1)).div_(2);
  std::copy_n(values_.const_data_ptr<float>(), 256, value_.begin());
  std::copy_n(bounds_.const_data_ptr<float>(), 255, bound_.begin());
  bound_[255] = std::numeric_limits<float>::infinity();
  for (uint32_t upper = 0; upper < first_.size(); ++upper) {
    // A negative number grows as its lower bits do not.
    const bool negative = upper >> 15 != 0;
    const float least = from_upper_bits(upper, negative ? 0xffff : 0), most = from_upper_bits(upper, negative ? 0 : 0xffff);
    const auto code = std::lower_bound(bound_.begin(), bound_.begin() + 255, std::isnan(least) ? 1.0f : least) - bound_.begin();
    const auto end = std::lower_bound(bound_.begin(), bound_.begin() + 255, std::isnan(most) ? 1.0f : most) - bound_.begin();
    TORCH_INTERNAL_ASSERT(end - code <= 1 || std::abs(least) > 1 || std::isnan(least), "two bounds of a map share upper bits");
    first_[upper] = static_cast<uint8_t>(code);
  }
}

void ct::DynamicMap::decode(const uint8_t *codes, const float *scales, float *out, int64_t n) const {
  for (int64_t i = 0; i < n; i += code_block)
    expand(codes + i, scales[i / code_block], value_.data(), out + i, std::min(code_block, n - i));
}

void ct::DynamicMap::encode(const float *numbers, uint8_t *codes, float *scales, int64_t n) const {
  for (int64_t i = 0; i < n; i += code_block) {
    const int64_t count = std::min(code_block, n - i);
    const float scale = largest_magnitude(numbers + i, count);
    scales[i / code_block] = scale;
    look_up(numbers + i, 1 / std::max(scale, least_scale), first_.data(), bound_.data(), codes + i, count);
  }
}

at::Tensor ct::DynamicMap::decode(const at::Tensor &codes, const at::Tensor &scales) const {
  const auto each = scales.repeat_interleave(code_block).slice(0, 0, codes.numel()).view(codes.sizes());
  return values_.to(codes.device()).index({codes.to(at::kLong)}).mul_(each);
}

void ct::DynamicMap::encode(const at::Tensor &numbers, const at::Tensor &codes, const at::Tensor &scales) const {
  const int64_t count = numbers.numel(), blocks = code_blocks(count);
  if (count == 0) return;
  const auto rows = at::constant_pad_nd(numbers.reshape(-1), {0, blocks * code_block - count}, 0).view({blocks, code_block});
  const auto largest = rows.abs().amax(1);
  const auto scaled = (rows * largest.clamp_min(least_scale).reciprocal().unsqueeze(1)).clamp_(-1, 1);
  scales.copy_(largest);
  codes.copy_(at::bucketize(scaled.view(-1).slice(0, 0, count), bounds_.to(numbers.device())).view(codes.sizes()));
}

ct_status ct_dynamic_map(bool is_signed, ct_tensor *out) {
  return ct::produce(out, [&] { return ct::DynamicMap::get(is_signed).values().clone(); });
}

ct_status ct_encode_blocks(ct_tensor numbers, bool is_signed, ct_tensor *codes, ct_tensor *scales) {
  return ct::produce_pair(codes, scales, [&] {
    at::NoGradGuard frozen;
    const auto given = ct::ref(numbers).contiguous();
    TORCH_CHECK(given.scalar_type() == at::kFloat, "codes are made of float32, not of ", given.scalar_type());
    const auto made = at::empty(given.sizes(), given.options().dtype(at::kByte));
    const auto large = at::empty({ct::code_blocks(given.numel())}, given.options());
    const auto &map = ct::DynamicMap::get(is_signed);
    if (given.is_cpu())
      map.encode(given.const_data_ptr<float>(), made.data_ptr<uint8_t>(), large.data_ptr<float>(), given.numel());
    else
      map.encode(given, made, large);
    return std::pair(made, large);
  });
}

ct_status ct_decode_blocks(ct_tensor codes, ct_tensor scales, bool is_signed, ct_tensor *out) {
  return ct::produce(out, [&] {
    at::NoGradGuard frozen;
    const auto given = ct::ref(codes).contiguous(), large = ct::ref(scales).contiguous();
    TORCH_CHECK(given.scalar_type() == at::kByte && large.scalar_type() == at::kFloat && given.device() == large.device() &&
                    large.numel() == ct::code_blocks(given.numel()),
                "codes are uint8 with a float32 scale for each 256, not ", given.sizes(), " ", given.scalar_type(), " with ",
                large.sizes(), " ", large.scalar_type());
    const auto &map = ct::DynamicMap::get(is_signed);
    if (!given.is_cpu()) return map.decode(given, large);
    const auto made = at::empty(given.sizes(), large.options());
    map.decode(given.const_data_ptr<uint8_t>(), large.const_data_ptr<float>(), made.data_ptr<float>(), given.numel());
    return made;
  });
}
