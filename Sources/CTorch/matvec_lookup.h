// Weights of 4 bits with a few rows: a table of 16 values is looked up in registers, and each block's sum is scaled once.
#pragma once

#include <cstdint>

#include "packing.h"

namespace ct::matvec {

/// Features whose even ones lie before their odd ones in what `split` writes: those that 16 bytes of a weight stand for.
constexpr int64_t split_group = 32;

/// Whether `multiply_looked_up` takes this weight: of 4 bits, each row in whole blocks, each block in whole groups.
inline bool is_looked_up(const packing::Matrix &matrix) {
  return (matrix.packing == CT_PACKED_NF4 || matrix.packing == CT_PACKED_FP4) && matrix.in % matrix.block == 0 &&
         matrix.block % split_group == 0;
}

/// `n` features in groups; n is a multiple of `split_group`.
void split(const float *x, int64_t n, float *out);

/// y[r·y_stride + o − first] = Σ x[r, i]·w[o, i] for the outputs `first` ..< `last`, with x [rows, in] as `split` writes it. What the
/// codes stand for is not rounded before it is multiplied.
void multiply_looked_up(const float *x, int64_t rows, const packing::Matrix &matrix, int64_t first, int64_t last, float *y,
                        int64_t y_stride, packing::Instructions instructions);

}  // namespace ct::matvec
