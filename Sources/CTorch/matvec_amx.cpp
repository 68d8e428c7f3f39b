#include "matvec_amx.h"

#if defined(__x86_64__) && defined(__linux__)

#include <immintrin.h>

#include <cstring>

#include "tiles.h"

#define CT_AMX __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512bf16")))

namespace {

using namespace ct::matvec;

/// Features a step of the unit takes: 32 numbers of a row, one cache line.
constexpr int64_t step = 32;
constexpr int64_t tile_numbers = unit_rows * step;
/// How far ahead of the reading memory is asked for, in bytes of a row's neighbours.
constexpr int64_t ahead_rows = 32;

/// Which of 32 features from `i` on there are.
inline uint32_t present(int64_t in, int64_t i) { return in - i >= step ? ~0u : (1u << (in - i)) - 1; }

/// Up to 16 rows of up to 32 features, at 0 where they are missing.
CT_AMX inline void gather(const uint16_t *w, int64_t rows, int64_t in, int64_t i, uint16_t *tile) {
  for (int64_t row = 0; row < unit_rows; ++row)
    _mm512_store_si512(tile + row * step, _mm512_maskz_loadu_epi16(row < rows ? present(in, i) : 0, w + row * in + i));
}

/// Up to 16 rows of up to 32 8-bit features as bfloat16, which holds them exactly.
CT_AMX inline void expand(const int8_t *w, int64_t rows, int64_t in, int64_t i, uint16_t *tile) {
  for (int64_t row = 0; row < rows; ++row) {
    const __m256i q = _mm256_maskz_loadu_epi8(present(in, i), w + row * in + i);
    const __m512 low = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm256_castsi256_si128(q)));
    const __m512 high = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm256_extracti128_si256(q, 1)));
    _mm512_store_si512(tile + row * step, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
  }
}

/// Asks for the lines that 16 rows will be read from in the next round.
inline void ask(const void *w, int64_t row_bytes, int64_t offset, int64_t bytes) {
  const char *lines = static_cast<const char *>(w) + ahead_rows * row_bytes + offset * unit_rows;
  for (int64_t line = 0; line < bytes; line += 64) __builtin_prefetch(lines + line);
}

/// The products of up to 16 outputs: `sums` [16 outputs, 16 rows].
CT_AMX void multiply_tile(const uint16_t *packed, const Weight &weight, int64_t first, int64_t outputs, float *sums) {
  alignas(64) uint16_t tile[tile_numbers] = {};
  const int64_t in = weight.in;
  const auto *halves = static_cast<const uint16_t *>(weight.data) + first * in;
  const auto *bytes = static_cast<const int8_t *>(weight.data) + first * in;
  _tile_zero(0);
  for (int64_t i = 0; i < in; i += step) {
    _tile_loadd(1, packed + i * unit_rows, step * sizeof(uint16_t));
    if (weight.element == Element::int8) {
      ask(bytes, in, i, tile_numbers);
      expand(bytes, outputs, in, i, tile);
      _tile_loadd(2, tile, step * sizeof(uint16_t));
    } else if (in - i < step || outputs < unit_rows) {
      gather(halves, outputs, in, i, tile);
      _tile_loadd(2, tile, step * sizeof(uint16_t));
    } else {
      ask(halves, in * sizeof(uint16_t), i * sizeof(uint16_t), tile_numbers * sizeof(uint16_t));
      _tile_loadd(2, halves + i, in * sizeof(uint16_t));
    }
    _tile_dpbf16ps(0, 2, 1);
  }
  _tile_stored(0, sums, unit_rows * sizeof(float));
}

}  // namespace

namespace ct::matvec {

bool has_matrix_unit() {
  static const bool rounds = __builtin_cpu_supports("avx512bf16");
  return rounds && tiles::on_unit();
}

int64_t packed_size(int64_t in) { return (in + step - 1) / step * tile_numbers; }

CT_AMX void pack(const uint16_t *x, int64_t rows, int64_t in, uint16_t *packed) {
  std::memset(packed, 0, static_cast<size_t>(packed_size(in)) * sizeof *packed);
  for (int64_t i = 0; i + 1 < in; i += 2)
    for (int64_t r = 0; r < rows; ++r) std::memcpy(packed + i * unit_rows + 2 * r, x + r * in + i, 2 * sizeof *x);
  if (in % 2 == 1)
    for (int64_t r = 0; r < rows; ++r) packed[(in - 1) * unit_rows + 2 * r] = x[r * in + in - 1];
}

CT_AMX void multiply_packed(const uint16_t *packed, const Weight &weight, int64_t first, int64_t last, float *y) {
  alignas(64) float sums[unit_rows * unit_rows];
  const tiles::Session session;
  for (int64_t o = first; o < last; o += unit_rows) {
    const int64_t outputs = last - o < unit_rows ? last - o : unit_rows;
    multiply_tile(packed, weight, o, outputs, sums);
    for (int64_t r = 0; r < unit_rows; ++r)
      for (int64_t i = 0; i < outputs; ++i) {
        const float scale = weight.scales ? weight.scales[o + i] : 1;
        y[r * outputs_at_once + o - first + i] = sums[i * unit_rows + r] * scale;
      }
  }
}

}  // namespace ct::matvec

#else

namespace ct::matvec {

bool has_matrix_unit() { return false; }
int64_t packed_size(int64_t) { return 0; }
void pack(const uint16_t *, int64_t, int64_t, uint16_t *) {}
void multiply_packed(const uint16_t *, const Weight &, int64_t, int64_t, float *) {}

}  // namespace ct::matvec

#endif
