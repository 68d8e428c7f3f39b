// Expands ggml's block-quantized weights. The block layouts are those of the GGUF format; every result is the float32 value
// that the format defines, computed in the order `scale * q - minimum` without fused operations, so that it equals the
// reference implementation bit for bit.

#include "ct_dequantize.h"

#include <bit>
#include <cstring>

#pragma STDC FP_CONTRACT OFF

namespace {

/// IEEE half to float32, exact for every value, without a branch per element.
inline float from_half(uint16_t half) {
  const uint32_t sign = uint32_t(half & 0x8000) << 16;
  const uint32_t exponent = half & 0x7C00;
  const uint32_t magnitude = uint32_t(half & 0x7FFF) << 13;
  const uint32_t normal = magnitude + (112u << 23);
  const uint32_t special = magnitude | 0x7F800000u;
  const uint32_t subnormal = std::bit_cast<uint32_t>(float(half & 0x03FF) * 0x1p-24f);
  const uint32_t bits = exponent == 0 ? subnormal : exponent == 0x7C00 ? special : normal;
  return std::bit_cast<float>(sign | bits);
}

inline uint16_t to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  return (bits & 0x7FFFFFFFu) > 0x7F800000u ? uint16_t(0x7FC0) : uint16_t(rounded);
}

/// A half where it lies in a block, which has no alignment.
struct Half {
  uint8_t bytes[2];
  operator float() const {
    uint16_t bits;
    std::memcpy(&bits, bytes, 2);
    return from_half(bits);
  }
};

struct F32 {
  static constexpr int length = 1;
  uint8_t bytes[4];
  void expand(float *out) const { std::memcpy(out, bytes, 4); }
};

struct F16 {
  static constexpr int length = 1;
  Half value;
  void expand(float *out) const { *out = value; }
};

struct BF16 {
  static constexpr int length = 1;
  uint8_t bytes[2];
  void expand(float *out) const {
    uint16_t bits;
    std::memcpy(&bits, bytes, 2);
    *out = std::bit_cast<float>(uint32_t(bits) << 16);
  }
};

struct Q4_0 {
  static constexpr int length = 32;
  Half scale;
  uint8_t nibbles[16];
  void expand(float *out) const {
    const float d = scale;
    for (int i = 0; i < 16; i++) {
      out[i] = d * float(int(nibbles[i] & 15) - 8);
      out[i + 16] = d * float(int(nibbles[i] >> 4) - 8);
    }
  }
};

struct Q4_1 {
  static constexpr int length = 32;
  Half scale, minimum;
  uint8_t nibbles[16];
  void expand(float *out) const {
    const float d = scale, m = minimum;
    for (int i = 0; i < 16; i++) {
      out[i] = d * float(nibbles[i] & 15) + m;
      out[i + 16] = d * float(nibbles[i] >> 4) + m;
    }
  }
};

/// The fifth bits of 32 weights: bit `i` belongs to weight `i`.
inline uint32_t high_bits(const uint8_t (&bytes)[4]) {
  uint32_t bits;
  std::memcpy(&bits, bytes, 4);
  return bits;
}

struct Q5_0 {
  static constexpr int length = 32;
  Half scale;
  uint8_t high[4];
  uint8_t nibbles[16];
  void expand(float *out) const {
    const float d = scale;
    const uint32_t bits = high_bits(high);
    for (int i = 0; i < 16; i++) {
      out[i] = d * float(int((nibbles[i] & 15) | ((bits >> i) & 1) << 4) - 16);
      out[i + 16] = d * float(int((nibbles[i] >> 4) | ((bits >> (i + 16)) & 1) << 4) - 16);
    }
  }
};

struct Q5_1 {
  static constexpr int length = 32;
  Half scale, minimum;
  uint8_t high[4];
  uint8_t nibbles[16];
  void expand(float *out) const {
    const float d = scale, m = minimum;
    const uint32_t bits = high_bits(high);
    for (int i = 0; i < 16; i++) {
      out[i] = d * float((nibbles[i] & 15) | ((bits >> i) & 1) << 4) + m;
      out[i + 16] = d * float((nibbles[i] >> 4) | ((bits >> (i + 16)) & 1) << 4) + m;
    }
  }
};

struct Q8_0 {
  static constexpr int length = 32;
  Half scale;
  int8_t weights[32];
  void expand(float *out) const {
    const float d = scale;
    for (int i = 0; i < 32; i++) out[i] = float(weights[i]) * d;
  }
};

/// Eight 6-bit scales and eight 6-bit minima in 12 bytes: the first four of each lie in the low six bits of bytes 0–3 and 4–7,
/// the last four have their low half in bytes 8–11 and their high half in the top bits of bytes 0–7.
struct PackedScales {
  uint8_t bytes[12];
  int scale(int j) const { return j < 4 ? bytes[j] & 63 : (bytes[j + 4] & 15) | (bytes[j - 4] >> 6) << 4; }
  int minimum(int j) const { return j < 4 ? bytes[j + 4] & 63 : (bytes[j + 4] >> 4) | (bytes[j] >> 6) << 4; }
};

struct Q4_K {
  static constexpr int length = 256;
  Half scale, minimum;
  PackedScales scales;
  uint8_t nibbles[128];
  void expand(float *out) const {
    const float d = scale, m = minimum;
    for (int pair = 0; pair < 4; pair++) {
      const float d0 = d * float(scales.scale(2 * pair)), m0 = m * float(scales.minimum(2 * pair));
      const float d1 = d * float(scales.scale(2 * pair + 1)), m1 = m * float(scales.minimum(2 * pair + 1));
      for (int i = 0; i < 32; i++) {
        out[64 * pair + i] = d0 * float(nibbles[32 * pair + i] & 15) - m0;
        out[64 * pair + 32 + i] = d1 * float(nibbles[32 * pair + i] >> 4) - m1;
      }
    }
  }
};

struct Q5_K {
  static constexpr int length = 256;
  Half scale, minimum;
  PackedScales scales;
  uint8_t high[32];
  uint8_t nibbles[128];
  void expand(float *out) const {
    const float d = scale, m = minimum;
    for (int pair = 0; pair < 4; pair++) {
      const float d0 = d * float(scales.scale(2 * pair)), m0 = m * float(scales.minimum(2 * pair));
      const float d1 = d * float(scales.scale(2 * pair + 1)), m1 = m * float(scales.minimum(2 * pair + 1));
      for (int i = 0; i < 32; i++) {
        const int low_bit = (high[i] >> (2 * pair)) & 1, high_bit = (high[i] >> (2 * pair + 1)) & 1;
        out[64 * pair + i] = d0 * float((nibbles[32 * pair + i] & 15) | low_bit << 4) - m0;
        out[64 * pair + 32 + i] = d1 * float((nibbles[32 * pair + i] >> 4) | high_bit << 4) - m1;
      }
    }
  }
};

struct Q6_K {
  static constexpr int length = 256;
  uint8_t low[128];
  uint8_t high[64];
  int8_t scales[16];
  Half scale;
  void expand(float *out) const {
    const float d = scale;
    for (int group = 0; group < 8; group++) {
      const int half = group / 4, part = group % 4;
      const uint8_t *nibbles = low + 64 * half + 32 * (part & 1);
      const uint8_t *pairs = high + 32 * half;
      const int nibble_shift = 4 * (part / 2), pair_shift = 2 * part;
      for (int i = 0; i < 32; i++) {
        const int q = ((nibbles[i] >> nibble_shift) & 15) | ((pairs[i] >> pair_shift) & 3) << 4;
        out[32 * group + i] = (d * float(scales[2 * group + i / 16])) * float(q - 32);
      }
    }
  }
};

template <typename Block> void expand_float32(const Block *blocks, int64_t count, float *out) {
  for (int64_t i = 0; i < count; i++) blocks[i].expand(out + i * Block::length);
}

template <typename Block> void expand_bfloat16(const Block *blocks, int64_t count, uint16_t *out) {
  constexpr int64_t at_once = 512 / Block::length;
  float expanded[512];
  for (int64_t start = 0; start < count; start += at_once) {
    const int64_t some = count - start < at_once ? count - start : at_once;
    expand_float32(blocks + start, some, expanded);
    for (int64_t i = 0; i < some * Block::length; i++) out[start * Block::length + i] = to_bfloat16(expanded[i]);
  }
}

/// Calls `body` with a null pointer of the type that `format` names.
template <typename Body> auto with_block(ct_block_format format, Body body) {
  switch (format) {
  case CT_BLOCK_F16: return body(static_cast<const F16 *>(nullptr));
  case CT_BLOCK_BF16: return body(static_cast<const BF16 *>(nullptr));
  case CT_BLOCK_Q4_0: return body(static_cast<const Q4_0 *>(nullptr));
  case CT_BLOCK_Q4_1: return body(static_cast<const Q4_1 *>(nullptr));
  case CT_BLOCK_Q5_0: return body(static_cast<const Q5_0 *>(nullptr));
  case CT_BLOCK_Q5_1: return body(static_cast<const Q5_1 *>(nullptr));
  case CT_BLOCK_Q8_0: return body(static_cast<const Q8_0 *>(nullptr));
  case CT_BLOCK_Q4_K: return body(static_cast<const Q4_K *>(nullptr));
  case CT_BLOCK_Q5_K: return body(static_cast<const Q5_K *>(nullptr));
  case CT_BLOCK_Q6_K: return body(static_cast<const Q6_K *>(nullptr));
  case CT_BLOCK_F32: break;
  }
  return body(static_cast<const F32 *>(nullptr));
}

} // namespace

int64_t ct_block_length(ct_block_format format) {
  return with_block(format, []<typename Block>(const Block *) { return int64_t(Block::length); });
}

int64_t ct_block_bytes(ct_block_format format) {
  return with_block(format, []<typename Block>(const Block *) { return int64_t(sizeof(Block)); });
}

void ct_dequantize_float32(ct_block_format format, const void *blocks, int64_t count, float *out) {
  with_block(format, [=]<typename Block>(const Block *) { expand_float32(static_cast<const Block *>(blocks), count, out); });
}

void ct_dequantize_bfloat16(ct_block_format format, const void *blocks, int64_t count, uint16_t *out) {
  with_block(format, [=]<typename Block>(const Block *) { expand_bfloat16(static_cast<const Block *>(blocks), count, out); });
}
