#include "packed_weight.h"

#include <algorithm>

#include "boundary.h"
#include "matvec_lookup.h"
#include "parallel.h"
#include "rehearsal.h"

namespace {

using namespace ct::packing;

/// Numbers that are worth a thread.
constexpr int64_t numbers_per_task = 1 << 15;

Rounding rounding(ct_dtype dtype) {
  switch (dtype) {
  case CT_FLOAT32: return Rounding::none;
  case CT_BFLOAT16: return Rounding::bfloat16;
  case CT_FLOAT16: return Rounding::float16;
  default: TORCH_CHECK(false, "packed weights expand to float32, bfloat16 or float16");
  }
}

/// Whether there are so many numbers of this type, in a row, on the CPU.
bool holds(const at::Tensor &tensor, at::ScalarType type, int64_t count) {
  return tensor.defined() && ct::rehearsal::on_processor(tensor) && tensor.scalar_type() == type && tensor.is_contiguous() && tensor.numel() == count;
}

void check(bool holds, const char *part, int64_t count, const char *type) {
  TORCH_CHECK(holds, "the ", part, " of a packed weight are ", count, " numbers of ", type, " on the CPU");
}

template <typename Number>
const Number *data(const at::Tensor &tensor) {
  return tensor.defined() ? static_cast<const Number *>(tensor.const_data_ptr()) : nullptr;
}

int64_t parts(int64_t count, int64_t size) { return (count + size - 1) / size; }

}  // namespace

ct::PackedWeight::PackedWeight(const ct_packed_weight &given)
    : numbers_(ct::ref(given.numbers)),
      scales_(ct::optional(given.scales).value_or(at::Tensor())),
      outer_(ct::optional(given.outer_scales).value_or(at::Tensor())),
      map_(ct::optional(given.map).value_or(at::Tensor())),
      matrix_{given.packing,
              given.format,
              given.out,
              given.in,
              data<uint8_t>(numbers_),
              outer_.defined() ? nullptr : data<float>(scales_),
              outer_.defined() ? data<uint8_t>(scales_) : nullptr,
              data<float>(outer_),
              data<float>(map_),
              given.offset,
              given.block,
              rounding(given.dtype)} {
  check();
}

void ct::PackedWeight::check() const {
  const auto &m = matrix_;
  constexpr int64_t most = int64_t{1} << 40;
  TORCH_CHECK(m.out > 0 && m.in > 0 && m.in <= most / m.out, "a packed weight of [", m.out, ", ", m.in, "]");
  const int64_t count = m.out * m.in;
  if (m.packing == CT_PACKED_INT8) {
    ::check(holds(numbers_, at::kChar, count), "numbers", count, "int8");
    ::check(holds(scales_, at::kFloat, m.out), "scales", m.out, "float32");
  } else if (m.packing == CT_PACKED_BLOCKS) {
    const int64_t length = ct_block_length(m.format), bytes = ct_block_bytes(m.format);
    TORCH_CHECK(length > 1 && m.in % length == 0, "rows of ", m.in, " numbers in blocks of ", length);
    ::check(holds(numbers_, at::kByte, count / length * bytes), "numbers", count / length * bytes, "uint8");
  } else {
    TORCH_CHECK(m.packing == CT_PACKED_NF4 || m.packing == CT_PACKED_FP4, "no such packing");
    TORCH_CHECK(m.block >= 32 && m.block <= 4096 && (m.block & (m.block - 1)) == 0, "blocks of ", m.block, " numbers");
    const int64_t blocks = parts(count, m.block);
    ::check(holds(numbers_, at::kByte, parts(count, 2)), "numbers", parts(count, 2), "uint8");
    TORCH_CHECK(outer_.defined() == map_.defined(), "one of outer scales and map is missing");
    ::check(holds(scales_, outer_.defined() ? at::kByte : at::kFloat, blocks), "scales", blocks,
            outer_.defined() ? "uint8" : "float32");
    if (!outer_.defined()) return;
    ::check(holds(outer_, at::kFloat, parts(blocks, outer_block)), "outer scales", parts(blocks, outer_block), "float32");
    ::check(holds(map_, at::kFloat, 256), "values of the map", 256, "float32");
  }
}

at::Tensor ct::PackedWeight::expanded(at::ScalarType type, int64_t first, int64_t last, int64_t from, int64_t to) const {
  TORCH_CHECK(type == at::kFloat || type == at::kBFloat16 || type == at::kHalf, "packed weights do not expand to ", type);
  TORCH_CHECK(first >= 0 && first <= last && last <= matrix_.out && from >= 0 && from <= to && to <= matrix_.in, "rows ", first,
              " to ", last, " and columns ", from, " to ", to, " of [", matrix_.out, ", ", matrix_.in, "]");
  const bool narrow = type == at::kBFloat16;
  const int64_t width = to - from;
  auto out = at::empty({last - first, width}, numbers_.options().dtype(narrow ? at::kBFloat16 : at::kFloat));
  void *memory = out.data_ptr();
  parallel_for(last - first, std::max<int64_t>(1, numbers_per_task / std::max<int64_t>(1, width)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      if (narrow)
        expand(matrix_, first + row, from, width, static_cast<uint16_t *>(memory) + row * width);
      else
        expand(matrix_, first + row, from, width, static_cast<float *>(memory) + row * width);
    }
  });
  return type == at::kHalf ? out.to(at::kHalf) : out;
}

ct_status ct_expand_packed(const ct_packed_weight *weight, int64_t first_row, int64_t rows, ct_dtype dtype, ct_tensor *out) {
  return ct::produce(out, [&] {
    const at::NoGradGuard no_gradients;
    TORCH_CHECK(weight != nullptr, "the weight is null");
    const ct::PackedWeight packed(*weight);
    TORCH_CHECK(rows >= 0 && rows <= packed.outputs() && first_row >= 0, "rows ", first_row, " and ", rows, " more");
    return packed.expanded(ct::scalar_type(dtype), first_row, first_row + rows, 0, packed.inputs());
  });
}

bool ct_look_up_four_bits(const uint8_t *packed, int64_t bytes, const float *table, const uint16_t *narrow_table,
                          ct_instructions instructions, float *out, uint16_t *narrow_out) {
  const auto version = static_cast<Instructions>(instructions);
  if (!available(version)) return false;
  look_up(packed, bytes, table, out, version);
  look_up(packed, bytes, narrow_table, narrow_out, version);
  return true;
}

ct_status ct_multiply_four_bits(const ct_packed_weight *weight, const float *x, int64_t rows, ct_instructions instructions,
                                float *y) {
  return ct::guarded([&] {
    TORCH_CHECK(weight != nullptr && x != nullptr && y != nullptr && rows >= 0, "a weight, x or y is null, or there are ", rows, " rows");
    const ct::PackedWeight packed(*weight);
    const auto &matrix = packed.matrix();
    TORCH_CHECK(ct::matvec::is_looked_up(matrix), "the rows of the weight are not made of whole blocks of 4-bit numbers");
    const auto version = static_cast<Instructions>(instructions);
    TORCH_CHECK_NOT_IMPLEMENTED(available(version), "this processor lacks the instructions");
    std::vector<float> ready(static_cast<size_t>(rows * matrix.in));
    ct::matvec::split(x, rows * matrix.in, ready.data());
    ct::matvec::multiply_looked_up(ready.data(), rows, matrix, 0, matrix.out, y, matrix.out, version);
  });
}
