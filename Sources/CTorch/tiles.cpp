#include "tiles.h"

#include <algorithm>
#include <cstring>

#include "rows.h"

#if defined(__x86_64__) && defined(__linux__)

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CT_TILES __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq")))

namespace {

/// Asks the kernel for the tile registers, which a process has to do once (ARCH_REQ_XCOMP_PERM for XTILEDATA).
bool ask() {
  if (!__builtin_cpu_supports("amx-tile") || !__builtin_cpu_supports("amx-bf16") || !__builtin_cpu_supports("avx512bw"))
    return false;
  constexpr int request = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request, tile_data) == 0;
}

struct alignas(64) Configuration {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

CT_TILES void configure() {
  Configuration configuration;
  for (int i = 0; i < 8; ++i) {
    configuration.row_bytes[i] = 64;
    configuration.rows[i] = 16;
  }
  _tile_loadconfig(&configuration);
}

CT_TILES void release() { _tile_release(); }

/// Columns of 16 pairs turned into rows: `out` row p has pair p of each of the 16 source rows.
CT_TILES void transpose(const uint16_t *source, int64_t stride, uint16_t *out) {
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
CT_TILES void interleave(const uint16_t *even, const uint16_t *odd, uint16_t *out) {
  static const uint16_t order[32] = {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                     8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  const auto low = _mm512_loadu_si512(order), high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
  const auto a = _mm512_loadu_si512(even), b = _mm512_loadu_si512(odd);
  _mm512_store_si512(out, _mm512_permutex2var_epi16(a, low, b));
  _mm512_store_si512(out + 512, _mm512_permutex2var_epi16(a, high, b));
}

/// A block of 32 by 32 numbers the other way round.
CT_TILES void turn_block(const uint16_t *source, int64_t stride, uint16_t *out, int64_t out_stride) {
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

/// Asks for `lines` cache lines, one every `stride` numbers. Addresses past the end of a matrix do no harm.
template <int lines>
CT_TILES void fetch(const uint16_t *first, int64_t stride) {
  for (int i = 0; i < lines; ++i) _mm_prefetch(reinterpret_cast<const char *>(first + i * stride), _MM_HINT_T0);
}

// Tiles are loaded without the processor's own guessing of what comes next, from the second cache or beyond: a step asks for the
// packed numbers of the next step, and for its share of the rows that the next call takes.
CT_TILES void block(const uint16_t *a, int64_t stride, const uint16_t *b, int64_t steps, float *c, int64_t c_stride, bool add,
                    const ct::tiles::Ahead &ahead) {
  const int64_t a_bytes = stride * 2, c_bytes = c_stride * 4;
  const uint16_t *below = a + 16 * stride;
  float *c_below = c + 16 * c_stride;
  if (add) {
    _tile_loadd(0, c, c_bytes);
    _tile_loadd(1, c + 16, c_bytes);
    _tile_loadd(2, c_below, c_bytes);
    _tile_loadd(3, c_below + 16, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t step = 0; step < steps; ++step, a += 32, below += 32, b += 1024) {
    _tile_loadd(6, b, 64);
    _tile_loadd(4, a, a_bytes);
    _tile_dpbf16ps(0, 4, 6);
    fetch<16>(b + 1024, 32);
    _tile_loadd(5, below, a_bytes);
    _tile_dpbf16ps(2, 5, 6);
    fetch<16>(b + 1536, 32);
    _tile_loadd(7, b + 512, 64);
    _tile_dpbf16ps(1, 4, 7);
    for (int64_t row = 0; row < ahead.rows; ++row) fetch<1>(ahead.first + row * stride + step * 32, 0);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, c_bytes);
  _tile_stored(1, c + 16, c_bytes);
  _tile_stored(2, c_below, c_bytes);
  _tile_stored(3, c_below + 16, c_bytes);
}

}  // namespace

#else

namespace {

bool ask() { return false; }
void configure() {}
void release() {}
void transpose(const uint16_t *, int64_t, uint16_t *) {}
void interleave(const uint16_t *, const uint16_t *, uint16_t *) {}
void turn_block(const uint16_t *, int64_t, uint16_t *, int64_t) {}
void block(const uint16_t *, int64_t, const uint16_t *, int64_t, float *, int64_t, bool, const ct::tiles::Ahead &) {}

}  // namespace

#endif

namespace {

using ct::tiles::Operand;
using ct::tiles::side;

/// Copies a corner of what is stored, `rows` by `width` from (row, column), into `out` with rows 32 apart, as bfloat16 and with
/// zeros around it.
void corner(const Operand &b, int64_t row, int64_t column, int64_t rows, int64_t width, uint16_t *out) {
  if (rows < side || width < side) std::memset(out, 0, side * side * sizeof *out);
  float scaled[side];
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t place = (row + i) * b.stride + column;
    if (b.wide) {
      const float *source = static_cast<const float *>(b.data) + place;
      if (b.scale != 1) {
        ct::rows::scale(source, b.scale, scaled, width);
        source = scaled;
      }
      ct::rows::narrow(source, out + i * side, width);
    } else {
      std::memcpy(out + i * side, static_cast<const uint16_t *>(b.data) + place, static_cast<size_t>(width) * sizeof *out);
    }
  }
}

/// Asks for the numbers stored in 32 rows from `row` on, at `column`: weights come from main memory, a line or two of each row at
/// a time, which the processor does not foresee.
void fetch_block(const Operand &b, int64_t row, int64_t column) {
  const int64_t bytes = b.wide ? 4 : 2;
  const auto *first = static_cast<const char *>(b.data) + (row * b.stride + column) * bytes;
  for (int64_t i = 0; i < side; ++i) {
    __builtin_prefetch(first + i * b.stride * bytes);
    if (b.wide) __builtin_prefetch(first + i * b.stride * bytes + 64);
  }
}

/// Packs the 32 by 32 numbers from (depth, column) on.
void pack_block(const Operand &b, int64_t depth, int64_t column, uint16_t *out) {
  alignas(64) uint16_t copy[side * side];
  const int64_t deep = std::min(side, b.depth - depth), across = std::min(side, b.columns - column);
  const int64_t row = b.columns_first ? column : depth, first = b.columns_first ? depth : column;
  const uint16_t *source = copy;
  int64_t stride = side;
  if (b.wide || deep < side || across < side) {
    corner(b, row, first, b.columns_first ? across : deep, b.columns_first ? deep : across, copy);
  } else {
    source = static_cast<const uint16_t *>(b.data) + row * b.stride + first;
    stride = b.stride;
  }
  if (b.columns_first) {
    transpose(source, stride, out);
    transpose(source + 16 * stride, stride, out + 512);
  } else {
    for (int64_t pair = 0; pair < side / 2; ++pair)
      interleave(source + 2 * pair * stride, source + (2 * pair + 1) * stride, out + pair * side);
  }
}

/// Columns of a stored row that are expanded at a time: a block of any format, and 32 rows of them stay in the first cache.
constexpr int64_t stripe = 256;

/// Expands `rows` stored rows from `row` on, `count` columns from `column` on, as an operand that has no others.
Operand expanded(const Operand &b, int64_t row, int64_t rows, int64_t column, int64_t count, uint16_t *numbers) {
  for (int64_t i = 0; i < rows; ++i) ct::packing::expand(*b.packed, row + i, column, count, numbers + i * stripe);
  return {numbers, stripe, b.columns_first ? count : rows, b.columns_first ? rows : count, b.columns_first};
}

/// `pack` of a packed weight.
void pack_expanded(const Operand &b, int64_t first, int64_t count, uint16_t *out) {
  alignas(64) uint16_t numbers[side * stripe];
  const int64_t depth_steps = ct::tiles::steps(b.depth), blocks = ct::tiles::steps(count);
  const auto target = [&](int64_t j, int64_t step) { return out + (j * depth_steps + step) * side * side; };
  if (b.columns_first) {
    for (int64_t j = 0; j < blocks; ++j)
      for (int64_t depth = 0; depth < b.depth; depth += stripe) {
        const int64_t row = first + j * side, rows = std::min(side, b.columns - row), deep = std::min(stripe, b.depth - depth);
        const Operand part = expanded(b, row, rows, depth, deep, numbers);
        for (int64_t step = 0; step * side < deep; ++step) pack_block(part, step * side, 0, target(j, depth / side + step));
      }
    return;
  }
  for (int64_t step = 0; step < depth_steps; ++step)
    for (int64_t column = 0; column < count; column += stripe) {
      const int64_t row = step * side, rows = std::min(side, b.depth - row);
      const int64_t across = std::min({stripe, count - column, b.columns - first - column});
      const Operand part = expanded(b, row, rows, first + column, across, numbers);
      for (int64_t j = 0; j * side < across; ++j) pack_block(part, 0, j * side, target(column / side + j, step));
    }
}

}  // namespace

bool ct::tiles::available() {
  static const bool found = ask();
  return found;
}

ct::tiles::Session::Session() { configure(); }

ct::tiles::Session::~Session() { release(); }

void ct::tiles::pack(const Operand &b, int64_t first, int64_t count, uint16_t *out) {
  if (b.packed) return pack_expanded(b, first, count, out);
  const int64_t depth_steps = steps(b.depth), blocks = steps(count);
  if (b.columns_first) {
    for (int64_t j = 0; j < blocks; ++j)
      for (int64_t step = 0; step < depth_steps; ++step) {
        fetch_block(b, first + j * side, (step + 4) * side);
        pack_block(b, step * side, first + j * side, out + (j * depth_steps + step) * side * side);
      }
  } else {  // along the stored rows
    for (int64_t step = 0; step < depth_steps; ++step)
      for (int64_t j = 0; j < blocks; ++j) {
        fetch_block(b, (step + 1) * side, first + j * side);
        pack_block(b, step * side, first + j * side, out + (j * depth_steps + step) * side * side);
      }
  }
}

void ct::tiles::multiply(const uint16_t *a, int64_t stride, const uint16_t *b, int64_t steps, float *c, int64_t c_stride,
                         bool add, const Ahead &ahead) {
  block(a, stride, b, steps, c, c_stride, add, ahead);
}

void ct::tiles::turn(const uint16_t *source, int64_t stride, uint16_t *out, int64_t out_stride) {
  turn_block(source, stride, out, out_stride);
}
