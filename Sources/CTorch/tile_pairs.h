// Blocks of bfloat16 packed as pairs, one below the other: what x86 processors' instructions for sums of two products take.
#pragma once

#include <cstdint>

namespace ct::tiles {

/// Elements of a packed block: [half, 16 pairs of depth, 16 columns, 2].
constexpr int64_t pair_block = 1024;

/// Whether the processor has what these need.
bool packs_pairs();

/// As the functions of `Engine`.
void pack_pair_columns(const uint16_t *source, int64_t stride, uint16_t *out);
void pack_pair_rows(const uint16_t *source, int64_t stride, uint16_t *out);
void turn_pairs(const uint16_t *source, int64_t stride, uint16_t *out, int64_t out_stride);

}  // namespace ct::tiles
