// Blocks of bfloat16 multiplied as float32, for processors without a tile unit: products of two numbers of bfloat16 are exact
// there, so that only the order of additions differs from what the unit gives.
#include <algorithm>

#include "clones.h"
#include "tile_engine.h"
#include "vectors.h"

namespace {

using namespace ct::vectors;
using ct::tiles::side;

/// Elements of 16 bits of a packed block: [half, 32 of depth, 16 columns] of float32.
constexpr int64_t packed_block = 2 * side * side;
/// Steps whose left-hand side is widened at a time; with the packed numbers of half a block it stays in the first cache.
constexpr int64_t steps_at_once = 4, depth_at_once = steps_at_once * side;

/// 8 by 8 numbers the other way round.
typedef uint16_t Eight __attribute__((vector_size(16)));

CT_INLINE void load_eight(const uint16_t *p, Eight &v) { std::memcpy(&v, p, sizeof v); }

CT_INLINE void transpose_eight(Eight (&rows)[8]) {
  Eight pairs[8];
  // Each stage interleaves rows half the matrix apart; three of them turn it.
  for (int stage = 0; stage < 3; ++stage) {
    for (int i = 0; i < 4; ++i) {
      pairs[2 * i] = __builtin_shufflevector(rows[i], rows[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      pairs[2 * i + 1] = __builtin_shufflevector(rows[i], rows[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; ++i) rows[i] = pairs[i];
  }
}

CT_CLONES void pack_columns(const uint16_t *source, int64_t stride, uint16_t *out) {
  typedef uint32_t EightWords __attribute__((vector_size(32)));
  auto *wide = reinterpret_cast<float *>(out);
  for (int64_t column = 0; column < side; column += 8)
    for (int64_t depth = 0; depth < side; depth += 8) {
      Eight rows[8];
      for (int64_t i = 0; i < 8; ++i) load_eight(source + (column + i) * stride + depth, rows[i]);
      transpose_eight(rows);
      float *target = wide + column / width * side * width + depth * width + column % width;
      for (int64_t i = 0; i < 8; ++i) {
        const EightWords bits = __builtin_convertvector(rows[i], EightWords) << 16;
        std::memcpy(target + i * width, &bits, sizeof bits);
      }
    }
}

CT_CLONES void pack_rows(const uint16_t *source, int64_t stride, uint16_t *out) {
  auto *wide = reinterpret_cast<float *>(out);
  for (int64_t depth = 0; depth < side; ++depth)
    for (int64_t half = 0; half < 2; ++half) {
      Floats numbers;
      load(source + depth * stride + half * width, numbers);
      std::memcpy(wide + (half * side + depth) * width, &numbers, sizeof numbers);
    }
}

CT_CLONES void turn_block(const uint16_t *source, int64_t stride, uint16_t *out, int64_t out_stride) {
  for (int64_t row = 0; row < side; row += 8)
    for (int64_t column = 0; column < side; column += 8) {
      Eight rows[8];
      for (int64_t i = 0; i < 8; ++i) load_eight(source + (row + i) * stride + column, rows[i]);
      transpose_eight(rows);
      for (int64_t i = 0; i < 8; ++i) std::memcpy(out + (column + i) * out_stride + row, &rows[i], sizeof rows[i]);
    }
}

/// Adds R rows of a [rows, depth_at_once] times `depth` of H halves of packed blocks to c, whose sums stay in registers.
template <int64_t R, int64_t H>
CT_INLINE void add_rows(const float *a, const float *b, int64_t depth, float *c, int64_t c_stride, bool add) {
  Floats sums[R][H] = {};
  if (add)
    for (int64_t r = 0; r < R; ++r)
      for (int64_t h = 0; h < H; ++h) load(c + r * c_stride + h * width, sums[r][h]);
  for (int64_t step = 0; step < depth; step += side, b += packed_block / 2)
    for (int64_t k = 0; k < side; ++k) {
      Floats right[H];
      for (int64_t h = 0; h < H; ++h) load(b + (h * side + k) * width, right[h]);
      for (int64_t r = 0; r < R; ++r)
        for (int64_t h = 0; h < H; ++h) sums[r][h] += right[h] * a[r * depth_at_once + step + k];
    }
  for (int64_t r = 0; r < R; ++r)
    for (int64_t h = 0; h < H; ++h) std::memcpy(c + r * c_stride + h * width, &sums[r][h], sizeof(Floats));
}

/// A block, `Many` groups of R rows and then groups of F, with H halves of the right-hand side at a time.
template <int64_t R, int64_t Many, int64_t F, int64_t H>
CT_INLINE void multiply_by(const uint16_t *a, int64_t stride, const uint16_t *packed, int64_t steps, float *c, int64_t c_stride,
                           bool add) {
  alignas(64) float left[side * depth_at_once];
  const auto *b = reinterpret_cast<const float *>(packed);
  if (steps == 0 && !add)
    for (int64_t i = 0; i < side; ++i) std::fill_n(c + i * c_stride, side, 0.0f);
  for (int64_t step = 0; step < steps; step += steps_at_once) {
    const int64_t depth = std::min(steps_at_once, steps - step) * side;
    for (int64_t i = 0; i < side; ++i)
      for (int64_t k = 0; k < depth; k += width) {
        Floats numbers;
        load(a + i * stride + step * side + k, numbers);
        std::memcpy(left + i * depth_at_once + k, &numbers, sizeof numbers);
      }
    const bool more = add || step > 0;
    for (int64_t half = 0; half < 2; half += H) {
      const float *right = b + step * (packed_block / 2) + half * side * width;
      float *sums = c + half * width;
      for (int64_t i = 0; i < R * Many; i += R)
        add_rows<R, H>(left + i * depth_at_once, right, depth, sums + i * c_stride, c_stride, more);
      for (int64_t i = R * Many; i < side; i += F)
        add_rows<F, H>(left + i * depth_at_once, right, depth, sums + i * c_stride, c_stride, more);
    }
  }
}

// As many sums as there are registers for beside what is multiplied.

void multiply(const uint16_t *a, int64_t stride, const uint16_t *b, int64_t steps, float *c, int64_t c_stride, bool add,
              const ct::tiles::Ahead &) {
  multiply_by<4, 8, 4, 1>(a, stride, b, steps, c, c_stride, add);
}

#if defined(__x86_64__) && defined(__linux__)

__attribute__((target("arch=x86-64-v4"))) void multiply_512(const uint16_t *a, int64_t stride, const uint16_t *b, int64_t steps,
                                                            float *c, int64_t c_stride, bool add, const ct::tiles::Ahead &) {
  multiply_by<8, 4, 8, 2>(a, stride, b, steps, c, c_stride, add);
}

__attribute__((target("arch=x86-64-v3"))) void multiply_256(const uint16_t *a, int64_t stride, const uint16_t *b, int64_t steps,
                                                            float *c, int64_t c_stride, bool add, const ct::tiles::Ahead &) {
  multiply_by<6, 2, 5, 1>(a, stride, b, steps, c, c_stride, add);
}

auto fastest() {
  return __builtin_cpu_supports("x86-64-v4") ? multiply_512 : __builtin_cpu_supports("x86-64-v3") ? multiply_256 : multiply;
}

#else

auto fastest() { return multiply; }

#endif

void nothing() {}

}  // namespace

const ct::tiles::Engine &ct::tiles::vectors() {
  static const Engine engine{packed_block, nothing, nothing, pack_columns, pack_rows, fastest(), turn_block};
  return engine;
}
