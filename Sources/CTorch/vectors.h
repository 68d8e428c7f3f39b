// Vectors of 16 floats in the compiler's own notation, which it splits where the instruction set has shorter ones, for loops
// that are compiled for several (clones.h).
#pragma once

#include <cstdint>
#include <cstring>

#define CT_INLINE inline __attribute__((always_inline))

namespace ct::vectors {

constexpr int64_t width = 16;

typedef float Floats __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));
typedef int8_t Bytes __attribute__((vector_size(16)));

CT_INLINE void load(const float *p, Floats &v) { std::memcpy(&v, p, sizeof v); }

/// 16 numbers of bfloat16.
CT_INLINE void load(const uint16_t *p, Floats &v) {
  Halves h;
  std::memcpy(&h, p, sizeof h);
  const Words bits = __builtin_convertvector(h, Words) << 16;
  std::memcpy(&v, &bits, sizeof v);
}

CT_INLINE void load(const int8_t *p, Floats &v) {
  Bytes b;
  std::memcpy(&b, p, sizeof b);
  v = __builtin_convertvector(b, Floats);
}

/// The first 16 of `n` numbers, with zeros behind them where they are fewer.
template <typename Number>
CT_INLINE void load_some(const Number *p, int64_t n, Floats &v) {
  if (n >= width) return load(p, v);
  Number padded[width] = {};
  for (int64_t i = 0; i < n; ++i) padded[i] = p[i];
  load(padded, v);
}

CT_INLINE void store_some(float *p, int64_t n, const Floats &v) {
  if (n >= width) {
    std::memcpy(p, &v, sizeof v);
    return;
  }
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}

CT_INLINE float sum(const Floats &v) {
  float lanes[width];
  std::memcpy(lanes, &v, sizeof v);
  for (int64_t half = width / 2; half > 0; half /= 2)
    for (int64_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  return lanes[0];
}

/// x = eˣ for x ≤ 0, to about one unit in the last place; below −87 it is e⁻⁸⁷, which is next to nothing. x = k·ln 2 + r with
/// |r| ≤ ln 2 / 2, eʳ by a polynomial, 2ᵏ through the exponent's bits.
CT_INLINE void decay(Floats &x) {
  constexpr float integers = 12582912.0f;  // 1.5·2²³: a sum with it has the nearest integer in its lowest bits
  x = x < -87.0f ? Floats{} - 87.0f : x;
  const Floats shifted = x * 1.44269504f + integers;
  const Floats k = shifted - integers;
  const Floats r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  Floats p = Floats{} + 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  Words whole;
  std::memcpy(&whole, &shifted, sizeof whole);
  whole = (whole + 127u) << 23;  // the bits of `integers` above the lowest are shifted out
  Floats power;
  std::memcpy(&power, &whole, sizeof power);
  x = p * power;
}

}  // namespace ct::vectors
