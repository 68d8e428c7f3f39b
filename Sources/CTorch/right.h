// The right-hand side of small products inside one task of a kernel, in the two forms there are.
#pragma once

#include <algorithm>

#include "tiles.h"

namespace ct {

/// bfloat16, packed block by block.
class TileRight {
 public:
  using Number = uint16_t;
  /// What sizes of left-hand sides and results are rounded up to.
  static constexpr int64_t multiple = tiles::side;
  using Session = tiles::Session;

  /// B [depth, columns]; `columns_first` where a stored row holds a column of B.
  TileRight(const Number *data, int64_t stride, int64_t depth, int64_t columns, bool columns_first)
      : depth_(tiles::steps(depth)), packed_(tiles::packed_size(depth, columns)) {
    tiles::pack({data, stride, depth, columns, columns_first}, 0, columns, packed_.data());
  }

  /// c (+)= a·B for `rows` rows and, of B, the depth from `depth` to `depth_end` and the columns from `column` to `column_end`, whose
  /// starts are multiples of 32. a and c begin at that depth and column, and have room for multiples of 32 rows and columns.
  void multiply(const Number *a, int64_t stride, int64_t rows, int64_t depth, int64_t depth_end, int64_t column,
                int64_t column_end, float *c, int64_t c_stride, bool add) {
    const int64_t first = depth / tiles::side, count = tiles::steps(depth_end) - first;
    for (int64_t i = 0; i < rows; i += tiles::side)
      for (int64_t j = column; j < column_end; j += tiles::side)
        tiles::multiply(a + i * stride, stride, packed_.data() + (j / tiles::side * depth_ + first) * tiles::block_size(),
                        count, c + i * c_stride + j - column, c_stride, add);
  }

 private:
  int64_t depth_;
  tiles::Buffer<uint16_t> packed_;
};

/// c [rows, columns] (+)= a [rows, depth]·b, in float32 on one thread. b is stored [depth, columns], or [columns, depth] where
/// `columns_first`; each stride is from one stored row to the next.
void plain_product(const float *a, int64_t a_stride, const float *b, int64_t b_stride, bool columns_first, int64_t rows,
                   int64_t columns, int64_t depth, float *c, int64_t c_stride, bool add);

/// float32, where it is stored.
class PlainRight {
 public:
  using Number = float;
  static constexpr int64_t multiple = 1;
  struct Session {
    Session() {}
  };

  PlainRight(const Number *data, int64_t stride, int64_t, int64_t, bool columns_first)
      : data_(data), stride_(stride), columns_first_(columns_first) {}

  void multiply(const Number *a, int64_t stride, int64_t rows, int64_t depth, int64_t depth_end, int64_t column,
                int64_t column_end, float *c, int64_t c_stride, bool add) {
    const float *b = columns_first_ ? data_ + column * stride_ + depth : data_ + depth * stride_ + column;
    plain_product(a, stride, b, stride_, columns_first_, rows, column_end - column, depth_end - depth, c, c_stride, add);
  }

 private:
  const Number *data_;
  int64_t stride_;
  bool columns_first_;
};

}  // namespace ct
