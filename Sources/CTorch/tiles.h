// Matrix products of bfloat16 with float32 sums, block by block: on the processor's tile unit (AMX), in vectors of
// pairs of bfloat16, or in vectors of float32.
//
// The right-hand side is packed just before its use, a panel of columns at a time, from whatever layout and type it is stored
// in: no second copy of a weight outlives a call, and a stored format needs only a way to pack it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory.h"
#include "packing.h"

namespace ct::tiles {

/// Rows and columns of a block of results, and the depth one step of a product takes.
constexpr int64_t side = 32;

/// Whether products run on the tile unit.
bool on_unit();

/// Elements of 16 bits that the packed form of a block of 32 by 32 numbers takes.
int64_t block_size();

/// Memory for numbers yet to be written, aligned to a cache line.
template <typename Number>
class Buffer {
 public:
  explicit Buffer(int64_t count) : data_(static_cast<Number *>(memory::take(static_cast<std::size_t>(count) * sizeof(Number)))) {}
  ~Buffer() { memory::give(data_); }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  Number *data() { return data_; }

 private:
  Number *data_;
};

/// Holds this thread's tile unit, if any, while it lives. Other code of the thread may use the unit before and after, not meanwhile.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;
};

/// The right-hand side B [depth, columns] of a product: numbers as they lie in memory, or a packed weight.
struct Operand {
  const void *data;
  /// Elements from one stored row to the next.
  int64_t stride;
  int64_t depth, columns;
  /// Whether a stored row holds a column of B (a weight [out, in] in x·Wᵀ) and not a row of B.
  bool columns_first;
  /// float32, converted with `scale` when packed; else bfloat16, for which `scale` is 1.
  bool wide = false;
  float scale = 1;
  /// Instead of `data`: expanded a block at a time when packed.
  const packing::Matrix *packed = nullptr;
};

/// Steps of a product of this depth.
inline int64_t steps(int64_t depth) { return (depth + side - 1) / side; }

/// Elements of 16 bits of the packed form of `columns` columns, rounded up to blocks, at this depth: block by block down, then across.
inline int64_t packed_size(int64_t depth, int64_t columns) { return steps(depth) * steps(columns) * block_size(); }

/// Packs columns first ..< first + count of B, which start a block; what lies outside of B is 0. `out` is aligned.
void pack(const Operand &b, int64_t first, int64_t count, uint16_t *out);

/// Rows of a left-hand side, as far apart as those being multiplied, that a later call takes: fetched on the side.
struct Ahead {
  const uint16_t *first = nullptr;
  int64_t rows = 0;
};

/// c (+)= a·b for one block: a has 32 rows `stride` apart, b is a packed block of `steps` steps, c has rows `c_stride` apart.
void multiply(const uint16_t *a, int64_t stride, const uint16_t *b, int64_t steps, float *c, int64_t c_stride, bool add,
              const Ahead &ahead = {});

/// A block of 32 by 32 numbers the other way round: row i of `source` becomes column i of `out`.
void turn(const uint16_t *source, int64_t stride, uint16_t *out, int64_t out_stride);

}  // namespace ct::tiles
