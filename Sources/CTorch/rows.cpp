#include "rows.h"

#include <cmath>
#include <cstring>

#include "clones.h"

#if defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>
#endif

namespace {

inline float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline uint32_t to_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// 2ᵏ for −127 < k < 128.
__attribute__((always_inline)) inline float power_of_two(int32_t k) {
  return from_bits(static_cast<uint32_t>(k + 127) << 23);
}

/// eˣ to about one unit in the last place, in operations every instruction set has for whole vectors:
/// x = k·ln 2 + r with |r| ≤ ln 2 / 2, eʳ by a polynomial, 2ᵏ through the exponent's bits. Infinite above 89, 0 below −104.
__attribute__((always_inline)) inline float exponential(float x) {
  constexpr float integers = 12582912.0f;  // 1.5·2²³: a sum with it has the nearest integer in its lowest bits
  x = x < -104.0f ? -104.0f : (x > 89.0f ? 89.0f : x);
  const float shifted = x * 1.44269504f + integers;
  const float k = shifted - integers;
  const float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  // k runs from −150 to 128, farther than the exponent of one factor.
  const auto whole = static_cast<int32_t>(to_bits(shifted) - to_bits(integers));
  const int32_t half = whole >> 1;
  return p * power_of_two(half) * power_of_two(whole - half);
}

__attribute__((always_inline)) inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

/// The sum of 16 lanes, in pairs.
__attribute__((always_inline)) inline float folded(float *lanes) {
  for (int64_t width = 8; width > 0; width /= 2)
    for (int64_t j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  return lanes[0];
}

CT_CLONES void narrow_by_bits(const float *in, uint16_t *out, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t bits = to_bits(in[i]);
    const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    const uint32_t quiet = (bits >> 16) | 0x40u;
    out[i] = static_cast<uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded);
  }
}

#if defined(__x86_64__) && defined(__linux__)

bool rounds_in_hardware() { return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl"); }

/// The same but for numbers below 2⁻¹²⁶, which become 0.
__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) void narrow_in_hardware(const float *in, uint16_t *out, int64_t n) {
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const auto both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(in + i + 16), _mm512_loadu_ps(in + i));
    std::memcpy(out + i, &both, sizeof both);
  }
  for (; i < n; i += 16) {
    const auto mask = static_cast<__mmask16>(n - i >= 16 ? 0xFFFF : (1u << (n - i)) - 1);
    const auto half = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, in + i));
    __m256i bits;
    std::memcpy(&bits, &half, sizeof bits);
    _mm256_mask_storeu_epi16(out + i, mask, bits);
  }
}

#else

bool rounds_in_hardware() { return false; }
void narrow_in_hardware(const float *in, uint16_t *out, int64_t n) { narrow_by_bits(in, out, n); }

#endif

}  // namespace

namespace ct::rows {

CT_CLONES void widen(const uint16_t *in, float *out, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) out[i] = from_bits(static_cast<uint32_t>(in[i]) << 16);
}

void narrow(const float *in, uint16_t *out, int64_t n) {
  static const auto chosen = rounds_in_hardware() ? narrow_in_hardware : narrow_by_bits;
  chosen(in, out, n);
}

// Sums run in 16 lanes, so that the order of additions does not depend on the instruction set.
CT_CLONES float dot(const float *a, const float *b, int64_t n) {
  float lanes[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int64_t j = 0; j < 16; ++j) lanes[j] += a[i + j] * b[i + j];
  for (; i < n; ++i) lanes[i % 16] += a[i] * b[i];
  return folded(lanes);
}

CT_CLONES float sum(const float *x, int64_t n) {
  float lanes[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int64_t j = 0; j < 16; ++j) lanes[j] += x[i + j];
  for (; i < n; ++i) lanes[i % 16] += x[i];
  return folded(lanes);
}

CT_CLONES float spread(const float *x, float mean, int64_t n) {
  float lanes[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int64_t j = 0; j < 16; ++j) lanes[j] += (x[i + j] - mean) * (x[i + j] - mean);
  for (; i < n; ++i) lanes[i % 16] += (x[i] - mean) * (x[i] - mean);
  return folded(lanes);
}

CT_CLONES void scale(const float *a, float scale, float *out, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] * scale;
}

CT_CLONES void scale_and_shift(const float *a, float scale, float shift, float *out, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] * scale + shift;
}

CT_CLONES void sum_of(const float *a, const float *b, float *out, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

CT_CLONES void multiply(const float *a, const float *b, float *out, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] * b[i];
}

CT_CLONES void add(const float *x, float *sum, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) sum[i] += x[i];
}

CT_CLONES void norm_gradient(const float *g, float s, const float *x, float c, float *out, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) out[i] = g[i] * s - x[i] * c;
}

CT_CLONES void swiglu(const float *gate, const float *up, float *out, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) out[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

CT_CLONES void swiglu_gradient(const float *g, const float *gate, const float *up, float *d_gate, float *d_up, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) {
    const float s = sigmoid(gate[i]), silu = gate[i] * s;
    d_gate[i] = g[i] * up[i] * (s + silu * (1.0f - s));
    d_up[i] = g[i] * silu;
  }
}

// ½·(1 + tanh u) is σ(2u); 2u = x·(a + b·x²).
constexpr float gelu_a = 1.5957691216f, gelu_b = 0.0713548163f;

CT_CLONES void gelu_tanh(const float *x, float *out, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) out[i] = x[i] * sigmoid(x[i] * (gelu_a + gelu_b * x[i] * x[i]));
}

CT_CLONES void gelu_tanh_gradient(const float *g, const float *x, float *out, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) {
    const float square = x[i] * x[i], s = sigmoid(x[i] * (gelu_a + gelu_b * square));
    out[i] = g[i] * s * (1.0f + x[i] * (1.0f - s) * (gelu_a + 3.0f * gelu_b * square));
  }
}

CT_CLONES void rotate(const float *lo, const float *hi, const float *c, const float *s, float *out_lo, float *out_hi, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) {
    out_lo[i] = lo[i] * c[i] - hi[i] * s[i];
    out_hi[i] = hi[i] * c[i] + lo[i] * s[i];
  }
}

CT_CLONES double square_sum(const float *x, int64_t n) {
  double lanes[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int64_t j = 0; j < 16; ++j) lanes[j] += static_cast<double>(x[i + j]) * static_cast<double>(x[i + j]);
  for (; i < n; ++i) lanes[i % 16] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

CT_CLONES float largest(const float *x, int64_t n) {
  float lanes[16];
  for (int64_t j = 0; j < 16; ++j) lanes[j] = x[j < n ? j : 0];
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int64_t j = 0; j < 16; ++j) lanes[j] = lanes[j] > x[i + j] ? lanes[j] : x[i + j];
  for (; i < n; ++i) lanes[0] = lanes[0] > x[i] ? lanes[0] : x[i];
  for (int64_t j = 1; j < 16; ++j) lanes[0] = lanes[0] > lanes[j] ? lanes[0] : lanes[j];
  return lanes[0];
}

CT_CLONES float exponentials(float *x, float scale, float top, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) x[i] = exponential(x[i] * scale - top);
  return sum(x, n);
}

CT_CLONES void shares(float *x, const float *log_sum, const float *scale, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) x[i] = exponential(x[i] - log_sum[i]) * scale[i];
}

CT_CLONES void softmax_gradient(const float *p, const float *d, float product, float scale, float *out, int64_t n) {
  CT_ELEMENTWISE
  for (int64_t i = 0; i < n; ++i) out[i] = p[i] * (d[i] - product) * scale;
}

}  // namespace ct::rows
