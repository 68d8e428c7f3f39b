#include "tile_pairs.h"

#include "tile_engine.h"

#if defined(__x86_64__) && defined(__linux__)

#include <immintrin.h>

#define CT_PACKING __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define CT_PAIRS __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

namespace {

/// Columns of 16 pairs turned into rows: `out` row p has pair p of each of the 16 source rows.
CT_PACKING void transpose(const uint16_t *source, int64_t stride, uint16_t *out) {
  __m512i r[16], t[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_si512(source + i * stride);
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    const auto first_even = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88), first_odd = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    const auto last_even = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    const auto last_odd = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    _mm512_store_si512(out + i * 32, _mm512_shuffle_i32x4(first_even, last_even, 0x88));
    _mm512_store_si512(out + (i + 4) * 32, _mm512_shuffle_i32x4(first_odd, last_odd, 0x88));
    _mm512_store_si512(out + (i + 8) * 32, _mm512_shuffle_i32x4(first_even, last_even, 0xdd));
    _mm512_store_si512(out + (i + 12) * 32, _mm512_shuffle_i32x4(first_odd, last_odd, 0xdd));
  }
}

/// Two rows of 32 columns as pairs, for two tiles of 16 columns.
CT_PACKING void interleave(const uint16_t *even, const uint16_t *odd, uint16_t *out) {
  static const uint16_t order[32] = {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                     8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  const auto low = _mm512_loadu_si512(order), high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
  const auto a = _mm512_loadu_si512(even), b = _mm512_loadu_si512(odd);
  _mm512_store_si512(out, _mm512_permutex2var_epi16(a, low, b));
  _mm512_store_si512(out + 512, _mm512_permutex2var_epi16(a, high, b));
}

/// Rows whose sums are kept in registers together.
constexpr int64_t rows_at_once = 8;

/// Adds 8 rows of a times a packed block, step after step, to c.
CT_PAIRS void add_rows(const uint16_t *a, int64_t stride, const uint16_t *b, int64_t steps, float *c, int64_t c_stride, bool add) {
  __m512 sums[rows_at_once][2] = {};
  if (add)
    for (int64_t r = 0; r < rows_at_once; ++r)
      for (int64_t half = 0; half < 2; ++half) sums[r][half] = _mm512_loadu_ps(c + r * c_stride + 16 * half);
  for (int64_t step = 0; step < steps; ++step, b += ct::tiles::pair_block)
    for (int64_t pair = 0; pair < 16; ++pair) {
      const auto first = (__m512bh)_mm512_load_si512(b + 32 * pair), second = (__m512bh)_mm512_load_si512(b + 512 + 32 * pair);
      for (int64_t r = 0; r < rows_at_once; ++r) {
        int32_t both;
        __builtin_memcpy(&both, a + r * stride + 32 * step + 2 * pair, sizeof both);
        const auto left = (__m512bh)_mm512_set1_epi32(both);
        sums[r][0] = _mm512_dpbf16_ps(sums[r][0], left, first);
        sums[r][1] = _mm512_dpbf16_ps(sums[r][1], left, second);
      }
    }
  for (int64_t r = 0; r < rows_at_once; ++r)
    for (int64_t half = 0; half < 2; ++half) _mm512_storeu_ps(c + r * c_stride + 16 * half, sums[r][half]);
}

CT_PAIRS void multiply_pairs(const uint16_t *a, int64_t stride, const uint16_t *b, int64_t steps, float *c, int64_t c_stride,
                             bool add, const ct::tiles::Ahead &) {
  for (int64_t row = 0; row < ct::tiles::side; row += rows_at_once)
    add_rows(a + row * stride, stride, b, steps, c + row * c_stride, c_stride, add);
}

void nothing() {}

}  // namespace

bool ct::tiles::packs_pairs() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq");
}

CT_PACKING void ct::tiles::pack_pair_columns(const uint16_t *source, int64_t stride, uint16_t *out) {
  transpose(source, stride, out);
  transpose(source + 16 * stride, stride, out + 512);
}

CT_PACKING void ct::tiles::pack_pair_rows(const uint16_t *source, int64_t stride, uint16_t *out) {
  for (int64_t pair = 0; pair < 16; ++pair)
    interleave(source + 2 * pair * stride, source + (2 * pair + 1) * stride, out + pair * 32);
}

/// A block of 32 by 32 numbers the other way round.
CT_PACKING void ct::tiles::turn_pairs(const uint16_t *source, int64_t stride, uint16_t *out, int64_t out_stride) {
  static const uint16_t order[32] = {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30,
                                     32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62};
  alignas(64) uint16_t upper[512], lower[512];
  transpose(source, stride, upper);
  transpose(source + 16 * stride, stride, lower);
  const auto even = _mm512_loadu_si512(order), odd = _mm512_add_epi16(even, _mm512_set1_epi16(1));
  for (int64_t pair = 0; pair < 16; ++pair) {
    const auto a = _mm512_load_si512(upper + 32 * pair), b = _mm512_load_si512(lower + 32 * pair);
    _mm512_storeu_si512(out + 2 * pair * out_stride, _mm512_permutex2var_epi16(a, even, b));
    _mm512_storeu_si512(out + (2 * pair + 1) * out_stride, _mm512_permutex2var_epi16(a, odd, b));
  }
}

const ct::tiles::Engine *ct::tiles::pairs() {
  static const Engine engine{pair_block, nothing, nothing, pack_pair_columns, pack_pair_rows, multiply_pairs, turn_pairs};
  static const bool found = packs_pairs() && __builtin_cpu_supports("avx512bf16");
  return found ? &engine : nullptr;
}

#else

const ct::tiles::Engine *ct::tiles::pairs() { return nullptr; }

#endif
