#include "matvec_lookup.h"

#include <algorithm>

#include "vectors.h"

namespace {

using ct::packing::Matrix;
using namespace ct::vectors;

/// Rows whose sums are kept in registers together.
constexpr int64_t rows_at_once = 4;

/// The products of one output with R rows.
template <int64_t R>
void plain_row(const float *x, const Matrix &matrix, int64_t output, const float *table, float *y, int64_t y_stride) {
  const int64_t blocks = matrix.in / matrix.block;
  const uint8_t *codes = matrix.numbers + output * matrix.in / 2;
  Floats totals[R] = {};
  for (int64_t b = 0; b < blocks; ++b) {
    Floats sums[R] = {};
    for (int64_t i = b * matrix.block; i < (b + 1) * matrix.block; i += 2 * width, codes += width) {
      Floats even, odd;
      for (int64_t k = 0; k < width; ++k) {
        even[k] = table[codes[k] >> 4];
        odd[k] = table[codes[k] & 15];
      }
      for (int64_t r = 0; r < R; ++r) {
        Floats first, second;
        load(x + r * matrix.in + i, first);
        load(x + r * matrix.in + i + width, second);
        sums[r] += even * first;
        sums[r] += odd * second;
      }
    }
    const float scale = ct::packing::scale(matrix, output * blocks + b);
    for (int64_t r = 0; r < R; ++r) totals[r] += sums[r] * scale;
  }
  for (int64_t r = 0; r < R; ++r) y[r * y_stride] = sum(totals[r]);
}

}  // namespace

#if defined(__x86_64__) && defined(__linux__)

#include <immintrin.h>

namespace {

#define CT_AVX2 __attribute__((target("avx2,fma")))
#define CT_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

/// Numbers of a weight that are asked for ahead of their use.
constexpr int64_t ahead = 1024;

template <int64_t R>
CT_AVX512 void row_512(const float *x, const Matrix &matrix, int64_t output, const float *table, float *y, int64_t y_stride) {
  const int64_t blocks = matrix.in / matrix.block;
  const uint8_t *codes = matrix.numbers + output * matrix.in / 2;
  const __m512 values = _mm512_loadu_ps(table);
  __m512 totals[R] = {};
  for (int64_t b = 0; b < blocks; ++b) {
    __m512 sums[R] = {};
    __builtin_prefetch(codes + ahead);
    for (int64_t i = b * matrix.block; i < (b + 1) * matrix.block; i += 32, codes += 16) {
      // A permutation takes the lowest 4 bits of each place.
      const __m512i places = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(codes)));
      const __m512 even = _mm512_permutexvar_ps(_mm512_srli_epi32(places, 4), values), odd = _mm512_permutexvar_ps(places, values);
      for (int64_t r = 0; r < R; ++r) {
        sums[r] = _mm512_fmadd_ps(even, _mm512_loadu_ps(x + r * matrix.in + i), sums[r]);
        sums[r] = _mm512_fmadd_ps(odd, _mm512_loadu_ps(x + r * matrix.in + i + 16), sums[r]);
      }
    }
    const __m512 scale = _mm512_set1_ps(ct::packing::scale(matrix, output * blocks + b));
    for (int64_t r = 0; r < R; ++r) totals[r] = _mm512_fmadd_ps(sums[r], scale, totals[r]);
  }
  for (int64_t r = 0; r < R; ++r) y[r * y_stride] = _mm512_reduce_add_ps(totals[r]);
}

/// 8 values of a table of 16 by the lowest 4 bits of each place.
CT_AVX2 inline __m256 look_up_256(__m256i places, __m256 first, __m256 last) {
  const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(places, 28));  // the sign is the fourth bit
  return _mm256_blendv_ps(_mm256_permutevar8x32_ps(first, places), _mm256_permutevar8x32_ps(last, places), upper);
}

template <int64_t R>
CT_AVX2 void row_256(const float *x, const Matrix &matrix, int64_t output, const float *table, float *y, int64_t y_stride) {
  const int64_t blocks = matrix.in / matrix.block;
  const uint8_t *codes = matrix.numbers + output * matrix.in / 2;
  const __m256 first = _mm256_loadu_ps(table), last = _mm256_loadu_ps(table + 8);
  __m256 totals[R] = {};
  for (int64_t b = 0; b < blocks; ++b) {
    __m256 sums[2][R] = {};
    __builtin_prefetch(codes + ahead);
    for (int64_t i = b * matrix.block; i < (b + 1) * matrix.block; i += 32, codes += 16)
      for (int64_t half = 0; half < 2; ++half) {
        const __m256i places = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(codes + 8 * half)));
        const __m256 even = look_up_256(_mm256_srli_epi32(places, 4), first, last), odd = look_up_256(places, first, last);
        for (int64_t r = 0; r < R; ++r) {
          const float *features = x + r * matrix.in + i + 8 * half;
          sums[0][r] = _mm256_fmadd_ps(even, _mm256_loadu_ps(features), sums[0][r]);
          sums[1][r] = _mm256_fmadd_ps(odd, _mm256_loadu_ps(features + 16), sums[1][r]);
        }
      }
    const __m256 scale = _mm256_set1_ps(ct::packing::scale(matrix, output * blocks + b));
    for (int64_t r = 0; r < R; ++r) totals[r] = _mm256_fmadd_ps(_mm256_add_ps(sums[0][r], sums[1][r]), scale, totals[r]);
  }
  for (int64_t r = 0; r < R; ++r) {
    const __m128 half = _mm_add_ps(_mm256_castps256_ps128(totals[r]), _mm256_extractf128_ps(totals[r], 1));
    const __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    y[r * y_stride] = _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
  }
}

}  // namespace

#endif

namespace {

using Row = void (*)(const float *x, const Matrix &matrix, int64_t output, const float *table, float *y, int64_t y_stride);

template <int64_t R>
Row row_function(ct::packing::Instructions instructions) {
#if defined(__x86_64__) && defined(__linux__)
  if (instructions == ct::packing::Instructions::avx512) return row_512<R>;
  if (instructions == ct::packing::Instructions::avx2) return row_256<R>;
#endif
  return plain_row<R>;
}

}  // namespace

void ct::matvec::split(const float *x, int64_t n, float *out) {
  for (int64_t i = 0; i < n; i += split_group)
    for (int64_t k = 0; k < split_group / 2; ++k) {
      out[i + k] = x[i + 2 * k];
      out[i + split_group / 2 + k] = x[i + 2 * k + 1];
    }
}

void ct::matvec::multiply_looked_up(const float *x, int64_t rows, const Matrix &matrix, int64_t first, int64_t last, float *y,
                                    int64_t y_stride, packing::Instructions instructions) {
  const float *table = packing::values(matrix.packing);
  const Row several = row_function<rows_at_once>(instructions), one = row_function<1>(instructions);
  for (int64_t o = first; o < last; ++o) {
    int64_t r = 0;
    for (; r + rows_at_once <= rows; r += rows_at_once)
      several(x + r * matrix.in, matrix, o, table, y + r * y_stride + o - first, y_stride);
    for (; r < rows; ++r) one(x + r * matrix.in, matrix, o, table, y + r * y_stride + o - first, y_stride);
  }
}
