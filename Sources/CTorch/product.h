// Products of whole matrices on the tile unit, over all threads.
#pragma once

#include <ATen/ATen.h>

#include "noise.h"
#include "tiles.h"

namespace ct {

/// A term a2·b2 of small depth that is added to a product while its block of results is at hand. Its dropout has the elements
/// of the result.
struct SmallTerm {
  /// [rows, depth], bfloat16, contiguous; `depth` is a multiple of 32.
  at::Tensor left;
  tiles::Operand right;
  Dropout dropout;
};

/// Whether products of these bfloat16 or float32 tensors run on the tile unit: on the CPU, in bfloat16, not switched off.
bool tiled(const at::Tensor &x);

/// left [rows, depth] (bfloat16, contiguous) times `right` (+ small) (+ bias [columns], float32) → [rows, columns] of `type`,
/// which is bfloat16 or float32.
at::Tensor product(const at::Tensor &left, const tiles::Operand &right, at::ScalarType type,
                   const SmallTerm *small = nullptr, const float *bias = nullptr);

/// A stored matrix [n, m] as the right-hand side [m, n] (`transposed`: x·Wᵀ) or [n, m] (x·W).
tiles::Operand operand(const at::Tensor &stored, bool transposed, float scale = 1);

/// The same numbers as bfloat16 with columns of zeros up to a multiple of 32, contiguous.
at::Tensor padded(const at::Tensor &matrix);

}  // namespace ct
