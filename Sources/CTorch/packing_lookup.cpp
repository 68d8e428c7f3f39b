// Numbers of 4 bits by a table: what most of the time of an expansion would go to.

#include "packing.h"

namespace {

/// From byte `first` on, one at a time.
template <typename Number>
void plain(const uint8_t *packed, int64_t first, int64_t bytes, const Number *table, Number *out) {
  for (int64_t i = first; i < bytes; ++i) {
    out[2 * i] = table[packed[i] >> 4];
    out[2 * i + 1] = table[packed[i] & 15];
  }
}

}  // namespace

#if defined(__x86_64__) && defined(__linux__)

#include <immintrin.h>

namespace {

#define CT_AVX2 __attribute__((target("avx2")))
#define CT_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

// Each returns the bytes it has done.

CT_AVX512 int64_t wide_avx512(const uint8_t *packed, int64_t bytes, const float *table, float *out) {
  const __m512 values = _mm512_loadu_ps(table);
  const __m512i low = _mm512_set1_epi64(15);
  int64_t i = 0;
  for (; i + 8 <= bytes; i += 8) {
    const __m512i pairs = _mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(packed + i)));
    const __m512i places = _mm512_or_si512(_mm512_srli_epi64(pairs, 4), _mm512_slli_epi64(_mm512_and_si512(pairs, low), 32));
    _mm512_storeu_ps(out + 2 * i, _mm512_permutexvar_ps(places, values));
  }
  return i;
}

CT_AVX512 int64_t narrow_avx512(const uint8_t *packed, int64_t bytes, const uint16_t *table, uint16_t *out) {
  const __m512i values = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(table)));
  const __m512i low = _mm512_set1_epi32(15);
  int64_t i = 0;
  for (; i + 16 <= bytes; i += 16) {
    const __m512i pairs = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(packed + i)));
    const __m512i places = _mm512_or_si512(_mm512_srli_epi32(pairs, 4), _mm512_slli_epi32(_mm512_and_si512(pairs, low), 16));
    _mm512_storeu_si512(out + 2 * i, _mm512_permutexvar_epi16(places, values));
  }
  return i;
}

CT_AVX2 int64_t wide_avx2(const uint8_t *packed, int64_t bytes, const float *table, float *out) {
  const __m256 first = _mm256_loadu_ps(table), last = _mm256_loadu_ps(table + 8);
  const __m256i low = _mm256_set1_epi64x(15);
  int64_t i = 0;
  for (; i + 4 <= bytes; i += 4) {
    const __m256i pairs = _mm256_cvtepu8_epi64(_mm_loadu_si32(packed + i));
    const __m256i places = _mm256_or_si256(_mm256_srli_epi64(pairs, 4), _mm256_slli_epi64(_mm256_and_si256(pairs, low), 32));
    const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(places, 28));  // the sign is the fourth bit
    _mm256_storeu_ps(out + 2 * i, _mm256_blendv_ps(_mm256_permutevar8x32_ps(first, places),
                                                   _mm256_permutevar8x32_ps(last, places), upper));
  }
  return i;
}

CT_AVX2 int64_t narrow_avx2(const uint8_t *packed, int64_t bytes, const uint16_t *table, uint16_t *out) {
  alignas(16) uint8_t halves[2][16];  // the low and the high byte of each value
  for (int i = 0; i < 16; ++i) {
    halves[0][i] = static_cast<uint8_t>(table[i]);
    halves[1][i] = static_cast<uint8_t>(table[i] >> 8);
  }
  const __m128i lower = _mm_load_si128(reinterpret_cast<const __m128i *>(halves[0]));
  const __m128i upper = _mm_load_si128(reinterpret_cast<const __m128i *>(halves[1]));
  const __m128i low = _mm_set1_epi8(15);
  int64_t i = 0;
  for (; i + 8 <= bytes; i += 8) {
    const __m128i pairs = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(packed + i));
    const __m128i places = _mm_unpacklo_epi8(_mm_and_si128(_mm_srli_epi16(pairs, 4), low), _mm_and_si128(pairs, low));
    const __m128i a = _mm_shuffle_epi8(lower, places), b = _mm_shuffle_epi8(upper, places);
    _mm_storeu_si128(reinterpret_cast<__m128i *>(out + 2 * i), _mm_unpacklo_epi8(a, b));
    _mm_storeu_si128(reinterpret_cast<__m128i *>(out + 2 * i + 8), _mm_unpackhi_epi8(a, b));
  }
  return i;
}

}  // namespace

bool ct::packing::available(Instructions instructions) {
  switch (instructions) {
  case Instructions::avx512:
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq");
  case Instructions::avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  default: return true;
  }
}

void ct::packing::look_up(const uint8_t *packed, int64_t bytes, const float *table, float *out, Instructions instructions) {
  int64_t done = 0;
  if (instructions == Instructions::avx512) done = wide_avx512(packed, bytes, table, out);
  if (instructions == Instructions::avx2) done = wide_avx2(packed, bytes, table, out);
  plain(packed, done, bytes, table, out);
}

void ct::packing::look_up(const uint8_t *packed, int64_t bytes, const uint16_t *table, uint16_t *out, Instructions instructions) {
  int64_t done = 0;
  if (instructions == Instructions::avx512) done = narrow_avx512(packed, bytes, table, out);
  if (instructions == Instructions::avx2) done = narrow_avx2(packed, bytes, table, out);
  plain(packed, done, bytes, table, out);
}

#else

bool ct::packing::available(Instructions instructions) { return instructions == Instructions::plain; }

void ct::packing::look_up(const uint8_t *packed, int64_t bytes, const float *table, float *out, Instructions) {
  plain(packed, 0, bytes, table, out);
}

void ct::packing::look_up(const uint8_t *packed, int64_t bytes, const uint16_t *table, uint16_t *out, Instructions) {
  plain(packed, 0, bytes, table, out);
}

#endif
