#include "tiles.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "ct_system.h"
#include "rows.h"
#include "tile_engine.h"

namespace {

using ct::tiles::Operand;
using ct::tiles::side;

/// The engine of that name; null where this processor has none.
const ct::tiles::Engine *named(ct_block_engine engine) {
  switch (engine) {
  case CT_BLOCKS_TILE_UNIT: return ct::tiles::unit();
  case CT_BLOCKS_PAIRS: return ct::tiles::pairs();
  default: return &ct::tiles::vectors();
  }
}

ct_block_engine fastest() {
  return ct::tiles::unit() ? CT_BLOCKS_TILE_UNIT : ct::tiles::pairs() ? CT_BLOCKS_PAIRS : CT_BLOCKS_FLOAT32;
}

std::atomic<ct_block_engine> &current() {
  static std::atomic<ct_block_engine> engine = fastest();
  return engine;
}

const ct::tiles::Engine &engine() { return *named(current()); }

/// Copies a corner of what is stored, `rows` by `width` from (row, column), into `out` with rows 32 apart, as bfloat16 and with
/// zeros around it.
void corner(const Operand &b, int64_t row, int64_t column, int64_t rows, int64_t width, uint16_t *out) {
  if (rows < side || width < side) std::memset(out, 0, side * side * sizeof *out);
  float scaled[side];
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t place = (row + i) * b.stride + column;
    if (b.wide) {
      const float *source = static_cast<const float *>(b.data) + place;
      if (b.scale != 1) {
        ct::rows::scale(source, b.scale, scaled, width);
        source = scaled;
      }
      ct::rows::narrow(source, out + i * side, width);
    } else {
      std::memcpy(out + i * side, static_cast<const uint16_t *>(b.data) + place, static_cast<size_t>(width) * sizeof *out);
    }
  }
}

/// Asks for the numbers stored in 32 rows from `row` on, at `column`: weights come from main memory, a line or two of each row at
/// a time, which the processor does not foresee.
void fetch_block(const Operand &b, int64_t row, int64_t column) {
  const int64_t bytes = b.wide ? 4 : 2;
  const auto *first = static_cast<const char *>(b.data) + (row * b.stride + column) * bytes;
  for (int64_t i = 0; i < side; ++i) {
    __builtin_prefetch(first + i * b.stride * bytes);
    if (b.wide) __builtin_prefetch(first + i * b.stride * bytes + 64);
  }
}

/// Packs the 32 by 32 numbers from (depth, column) on.
void pack_block(const Operand &b, int64_t depth, int64_t column, uint16_t *out) {
  alignas(64) uint16_t copy[side * side];
  const int64_t deep = std::min(side, b.depth - depth), across = std::min(side, b.columns - column);
  const int64_t row = b.columns_first ? column : depth, first = b.columns_first ? depth : column;
  const uint16_t *source = copy;
  int64_t stride = side;
  if (b.wide || deep < side || across < side) {
    corner(b, row, first, b.columns_first ? across : deep, b.columns_first ? deep : across, copy);
  } else {
    source = static_cast<const uint16_t *>(b.data) + row * b.stride + first;
    stride = b.stride;
  }
  (b.columns_first ? engine().pack_columns : engine().pack_rows)(source, stride, out);
}

/// Columns of a stored row that are expanded at a time: a block of any format, and 32 rows of them stay in the first cache.
constexpr int64_t stripe = 256;

/// Expands `rows` stored rows from `row` on, `count` columns from `column` on, as an operand that has no others.
Operand expanded(const Operand &b, int64_t row, int64_t rows, int64_t column, int64_t count, uint16_t *numbers) {
  for (int64_t i = 0; i < rows; ++i) ct::packing::expand(*b.packed, row + i, column, count, numbers + i * stripe);
  return {numbers, stripe, b.columns_first ? count : rows, b.columns_first ? rows : count, b.columns_first};
}

/// `pack` of a packed weight.
void pack_expanded(const Operand &b, int64_t first, int64_t count, uint16_t *out) {
  alignas(64) uint16_t numbers[side * stripe];
  const int64_t depth_steps = ct::tiles::steps(b.depth), blocks = ct::tiles::steps(count);
  const auto target = [&](int64_t j, int64_t step) { return out + (j * depth_steps + step) * ct::tiles::block_size(); };
  if (b.columns_first) {
    for (int64_t j = 0; j < blocks; ++j)
      for (int64_t depth = 0; depth < b.depth; depth += stripe) {
        const int64_t row = first + j * side, rows = std::min(side, b.columns - row), deep = std::min(stripe, b.depth - depth);
        const Operand part = expanded(b, row, rows, depth, deep, numbers);
        for (int64_t step = 0; step * side < deep; ++step) pack_block(part, step * side, 0, target(j, depth / side + step));
      }
    return;
  }
  for (int64_t step = 0; step < depth_steps; ++step)
    for (int64_t column = 0; column < count; column += stripe) {
      const int64_t row = step * side, rows = std::min(side, b.depth - row);
      const int64_t across = std::min({stripe, count - column, b.columns - first - column});
      const Operand part = expanded(b, row, rows, first + column, across, numbers);
      for (int64_t j = 0; j * side < across; ++j) pack_block(part, 0, j * side, target(column / side + j, step));
    }
}

}  // namespace

int64_t ct::tiles::block_size() { return engine().block_size; }

bool ct::tiles::on_unit() { return current() == CT_BLOCKS_TILE_UNIT; }

ct_block_engine ct_current_block_engine(void) { return current(); }

bool ct_set_block_engine(ct_block_engine engine) {
  if (!named(engine)) return false;
  current() = engine;
  return true;
}

ct::tiles::Session::Session() { engine().begin(); }

ct::tiles::Session::~Session() { engine().end(); }

void ct::tiles::pack(const Operand &b, int64_t first, int64_t count, uint16_t *out) {
  if (b.packed) return pack_expanded(b, first, count, out);
  const int64_t depth_steps = steps(b.depth), blocks = steps(count);
  if (b.columns_first) {
    for (int64_t j = 0; j < blocks; ++j)
      for (int64_t step = 0; step < depth_steps; ++step) {
        fetch_block(b, first + j * side, (step + 4) * side);
        pack_block(b, step * side, first + j * side, out + (j * depth_steps + step) * block_size());
      }
  } else {  // along the stored rows
    for (int64_t step = 0; step < depth_steps; ++step)
      for (int64_t j = 0; j < blocks; ++j) {
        fetch_block(b, (step + 1) * side, first + j * side);
        pack_block(b, step * side, first + j * side, out + (j * depth_steps + step) * block_size());
      }
  }
}

void ct::tiles::multiply(const uint16_t *a, int64_t stride, const uint16_t *b, int64_t steps, float *c, int64_t c_stride,
                         bool add, const Ahead &ahead) {
  engine().multiply(a, stride, b, steps, c, c_stride, add, ahead);
}

void ct::tiles::turn(const uint16_t *source, int64_t stride, uint16_t *out, int64_t out_stride) {
  engine().turn(source, stride, out, out_stride);
}
