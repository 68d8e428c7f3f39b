#include "packing.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "clones.h"
#include "rows.h"

#pragma STDC FP_CONTRACT OFF

namespace {

using namespace ct::packing;

/// Quantiles of a normal distribution, so that numbers of one fall into each equally often, with an exact 0; QLoRA's appendix E.
constexpr float normal_values[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
    -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

constexpr float twelfth(float value) { return value / 12.0f; }

/// By sign, exponent and mantissa; in units of the largest. Both zeros are positive.
constexpr float float_values[16] = {0.0f, twelfth(0.0625f), twelfth(8), 1.0f, twelfth(4), 0.5f, twelfth(2), 0.25f,
                                    0.0f, -twelfth(0.0625f), -twelfth(8), -1.0f, -twelfth(4), -0.5f, -twelfth(2), -0.25f};

/// A float32 as the nearest half and back, ties to even; beyond the largest half it is infinite.
float through_half(float value) {
  const float magnitude = std::fabs(value);
  if (!(magnitude < 65520.0f)) return magnitude > 0 ? std::copysign(INFINITY, value) : value;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  const float unit = std::ldexp(1.0f, std::max(exponent - 11, -24));
  return std::copysign(std::nearbyint(magnitude / unit) * unit, value);
}

void rounded(float *numbers, int64_t n, Rounding rounding) {
  if (rounding == Rounding::none) return;
  if (rounding == Rounding::float16) {
    for (int64_t i = 0; i < n; ++i) numbers[i] = through_half(numbers[i]);
    return;
  }
  uint16_t narrow[256];
  for (int64_t i = 0; i < n; i += 256) {
    const int64_t count = std::min<int64_t>(256, n - i);
    ct::rows::narrow(numbers + i, narrow, count);
    ct::rows::widen(narrow, numbers + i, count);
  }
}

/// What the 16 patterns of bits stand for in a block.
void make_table(const Matrix &matrix, int64_t block, float *table) {
  const float scale = ct::packing::scale(matrix, block);
  const float *unit = values(matrix.packing);
  for (int i = 0; i < 16; ++i) table[i] = unit[i] * scale;
  rounded(table, 16, matrix.rounding);
}

void make_table(const Matrix &matrix, int64_t block, uint16_t *table) {
  float wide[16];
  make_table(matrix, block, wide);
  ct::rows::narrow(wide, table, 16);
}

template <typename Number>
void expand_four_bits(const Matrix &matrix, int64_t row, int64_t first, int64_t count, Number *out) {
  int64_t place = row * matrix.in + first;
  const Instructions instructions = best();
  Number table[16];
  while (count > 0) {
    const int64_t block = place / matrix.block, run = std::min(count, (block + 1) * matrix.block - place);
    make_table(matrix, block, table);
    const uint8_t *packed = matrix.numbers + place / 2;
    int64_t done = 0;
    if (place % 2 == 1) out[done++] = table[*packed++ & 15];
    look_up(packed, (run - done) / 2, table, out + done, instructions);
    if ((run - done) % 2 == 1) out[run - 1] = table[packed[(run - done) / 2] >> 4];
    out += run;
    place += run;
    count -= run;
  }
}

/// In the order of bitsandbytes' own expansion: times the scale first.
CT_CLONES void expand_bytes(const int8_t *numbers, float scale, int64_t count, float *out) {
  constexpr float unit = 1.0f / 127.0f;
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(numbers[i]) * scale * unit;
}

void expand_int8(const Matrix &matrix, int64_t row, int64_t first, int64_t count, float *out) {
  expand_bytes(reinterpret_cast<const int8_t *>(matrix.numbers) + row * matrix.in + first, matrix.scales[row], count, out);
  rounded(out, count, matrix.rounding);
}

void expand_blocks(const Matrix &matrix, const uint8_t *blocks, int64_t count, float *out) {
  ct_dequantize_float32(matrix.format, blocks, count, out);
  rounded(out, count * ct_block_length(matrix.format), matrix.rounding);
}

void expand_blocks(const Matrix &matrix, const uint8_t *blocks, int64_t count, uint16_t *out) {
  ct_dequantize_bfloat16(matrix.format, blocks, count, out);
}

/// Whole blocks where they are to go, those at the ends through a copy.
template <typename Number>
void expand_in_blocks(const Matrix &matrix, int64_t row, int64_t first, int64_t count, Number *out) {
  constexpr int64_t longest = 256;
  const int64_t length = ct_block_length(matrix.format), bytes = ct_block_bytes(matrix.format);
  const uint8_t *source = matrix.numbers + row * (matrix.in / length) * bytes;
  Number whole[longest];
  while (count > 0) {
    const int64_t block = first / length, skipped = first % length;
    int64_t run = std::min(count, length - skipped);
    if (run == length) {
      run = count / length * length;
      expand_blocks(matrix, source + block * bytes, run / length, out);
    } else {
      expand_blocks(matrix, source + block * bytes, 1, whole);
      std::copy(whole + skipped, whole + skipped + run, out);
    }
    out += run;
    first += run;
    count -= run;
  }
}

}  // namespace

ct::packing::Instructions ct::packing::best() {
  static const Instructions found = available(Instructions::avx512) ? Instructions::avx512
                                    : available(Instructions::avx2) ? Instructions::avx2
                                                                    : Instructions::plain;
  return found;
}

const float *ct::packing::values(ct_packing packing) { return packing == CT_PACKED_FP4 ? float_values : normal_values; }

void ct::packing::expand(const Matrix &matrix, int64_t row, int64_t first, int64_t count, float *out) {
  switch (matrix.packing) {
  case CT_PACKED_INT8: return expand_int8(matrix, row, first, count, out);
  case CT_PACKED_BLOCKS: return expand_in_blocks(matrix, row, first, count, out);
  default: return expand_four_bits(matrix, row, first, count, out);
  }
}

void ct::packing::expand(const Matrix &matrix, int64_t row, int64_t first, int64_t count, uint16_t *out) {
  if (matrix.packing == CT_PACKED_BLOCKS && matrix.rounding != Rounding::float16)
    return expand_in_blocks(matrix, row, first, count, out);
  if (matrix.packing == CT_PACKED_NF4 || matrix.packing == CT_PACKED_FP4)
    return expand_four_bits(matrix, row, first, count, out);
  constexpr int64_t most = 256;
  float wide[most];
  for (int64_t done = 0; done < count; done += most) {
    const int64_t run = std::min(most, count - done);
    expand(matrix, row, first + done, run, wide);
    ct::rows::narrow(wide, out + done, run);
  }
}
