// Products of whole matrices block by block (tiles.h), over all threads.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "noise.h"
#include "tiles.h"

namespace ct {

/// left·right, some elements of it dropped.
struct Term {
  /// [rows, depth], bfloat16, contiguous; `depth` is a multiple of 32. There may be more rows than the sum has.
  at::Tensor left;
  tiles::Operand right;
  /// Of the elements of the result; for terms of small depth.
  Dropout dropout = {};
};

/// A matrix that terms add up to, in float32, until it is stored in `out`.
struct Sum {
  std::vector<Term> terms;
  /// [rows, columns], bfloat16 or float32, contiguous. It may have more columns than the terms, rounded up to 32: they become 0.
  at::Tensor out;
  /// [columns], float32; or undefined.
  at::Tensor bias = {};
};

/// Fills `out` of each of the sums.
void add_up(const std::vector<Sum> &sums);

/// Whether products of x run block by block: on the CPU, in bfloat16, not switched off.
bool tiled(const at::Tensor &x);

/// A stored matrix [n, m] as the right-hand side [m, n] (`transposed`: x·Wᵀ) or [n, m] (x·W).
tiles::Operand operand(const at::Tensor &stored, bool transposed, float scale = 1);

/// The next multiple of 32.
int64_t padded_size(int64_t size);

/// The same numbers as bfloat16 with columns of zeros up to a multiple of 32, contiguous.
at::Tensor padded(const at::Tensor &matrix);

/// A bfloat16 matrix with rows and columns of zeros up to multiples of 32, contiguous.
at::Tensor whole_blocks(const at::Tensor &matrix);

/// A bfloat16 matrix the other way round, with columns of zeros up to a multiple of 32.
at::Tensor turned(const at::Tensor &matrix);

}  // namespace ct
