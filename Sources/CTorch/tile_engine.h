// What the products of tiles.h are computed with.
#pragma once

#include <cstdint>

#include "tiles.h"

namespace ct::tiles {

/// A way to multiply blocks of 32 by 32 numbers, and the packed form that it wants of the right-hand side.
struct Engine {
  /// Elements of 16 bits that a packed block takes.
  int64_t block_size;
  /// Called by a thread before and after it multiplies.
  void (*begin)();
  void (*end)();
  /// Packs a block whose stored rows, `stride` apart, are its columns.
  void (*pack_columns)(const uint16_t *source, int64_t stride, uint16_t *out);
  /// Packs a block whose stored rows are its rows.
  void (*pack_rows)(const uint16_t *source, int64_t stride, uint16_t *out);
  /// As `tiles::multiply`.
  void (*multiply)(const uint16_t *a, int64_t stride, const uint16_t *b, int64_t steps, float *c, int64_t c_stride, bool add,
                   const Ahead &ahead);
  /// As `tiles::turn`.
  void (*turn)(const uint16_t *source, int64_t stride, uint16_t *out, int64_t out_stride);
};

/// The processor's tile unit (AMX); null where there is none, or the system does not let the process use it.
const Engine *unit();

/// Vectors of pairs of bfloat16 (AVX512-BF16); null where the processor has none.
const Engine *pairs();

/// Vectors of float32, of whatever length the processor has. A packed block is float32.
const Engine &vectors();

}  // namespace ct::tiles
