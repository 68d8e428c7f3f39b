// Frozen weights in few bits as they lie in memory, and their expansion, a run of a row at a time. Plain memory in, plain memory
// out; no libtorch.
#pragma once

#include <cstdint>

#include "ct_packing.h"

namespace ct::packing {

/// What an expanded number is rounded to before anything is computed with it.
enum class Rounding { none, bfloat16, float16 };

/// The instruction sets that expansion has versions for; all give the same bits.
enum class Instructions { plain, avx2, avx512 };

/// A weight [out, in] in row-major order.
struct Matrix {
  ct_packing packing;
  /// Of CT_PACKED_BLOCKS.
  ct_block_format format;
  int64_t out, in;
  const uint8_t *numbers;
  /// Of 4 bits: the largest magnitude of each block; of 8 bits: that of each row.
  const float *scales;
  /// Instead, in 8 bits: scale b is map[codes[b]]·outer[b / 256] + offset.
  const uint8_t *codes;
  const float *outer, *map;
  float offset;
  /// Numbers that share a scale, counted through all rows.
  int64_t block;
  Rounding rounding;
};

/// Scales in 8 bits that share an outer one.
constexpr int64_t outer_block = 256;

/// The 16 values of a 4-bit number, by its bits.
const float *values(ct_packing packing);

/// Whether this machine has these instructions.
bool available(Instructions instructions);
/// The widest of them that it has.
Instructions best();

/// What the values of a block of 4-bit numbers are multiplied with.
inline float scale(const Matrix &matrix, int64_t block) {
  return matrix.codes ? matrix.map[matrix.codes[block]] * matrix.outer[block / outer_block] + matrix.offset : matrix.scales[block];
}

/// Numbers first ..< first + count of a row, in float32 or bfloat16.
void expand(const Matrix &matrix, int64_t row, int64_t first, int64_t count, float *out);
void expand(const Matrix &matrix, int64_t row, int64_t first, int64_t count, uint16_t *out);

/// 2·`bytes` numbers of 4 bits by a table of 16, the high half of a byte first.
void look_up(const uint8_t *packed, int64_t bytes, const float *table, float *out, Instructions instructions);
void look_up(const uint8_t *packed, int64_t bytes, const uint16_t *table, uint16_t *out, Instructions instructions);

}  // namespace ct::packing
