// The matrix unit of x86 processors (AMX) for a few rows with a weight.
#pragma once

#include "matvec.h"

namespace ct::matvec {

/// Whether this processor has the unit and the system lets the process use it.
bool has_matrix_unit();

/// Rows the unit takes at once.
constexpr int64_t unit_rows = 16;

/// Numbers that `pack` writes for one group of `unit_rows` rows.
int64_t packed_size(int64_t in);
/// x [rows, in], at most `unit_rows` rows, in the order the unit wants: pairs of features, and for each the pair of every row.
void pack(const uint16_t *x, int64_t rows, int64_t in, uint16_t *packed);
/// As `Input::multiply`, for the outputs `first` ..< `last`; y has place for `unit_rows` rows.
void multiply_packed(const uint16_t *packed, const Weight &weight, int64_t first, int64_t last, float *y);

}  // namespace ct::matvec
