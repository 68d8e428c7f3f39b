// Packing of weights in 4 and 8 bits: the arithmetic of bitsandbytes 0.50 on a CPU, step by step, so that the bytes are the same.

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "boundary.h"
#include "packing.h"
#include "parallel.h"

#pragma STDC FP_CONTRACT OFF

namespace {

using namespace ct::packing;

/// Numbers that are worth a thread.
constexpr int64_t numbers_per_task = 1 << 15;
/// What keeps the inverse of a block of zeros finite.
constexpr float smallest_scale = 1e-38f;

int64_t parts(int64_t count, int64_t size) { return (count + size - 1) / size; }

float largest_magnitude(const float *numbers, int64_t n) {
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(numbers[i]));
  return largest;
}

/// The nearest of 16 values, by the midpoints between neighbours; one that lies on a midpoint goes to the smaller.
class Nearest {
 public:
  explicit Nearest(ct_packing packing) {
    const float *unit = values(packing);
    std::iota(order_.begin(), order_.end(), uint8_t{0});
    std::stable_sort(order_.begin(), order_.end(), [&](uint8_t a, uint8_t b) { return unit[a] < unit[b]; });
    for (size_t i = 0; i < bounds_.size(); ++i) bounds_[i] = (unit[order_[i]] + unit[order_[i + 1]]) / 2;
  }

  uint8_t operator()(float number) const {
    size_t place = 0;
    for (const float bound : bounds_) place += number > bound;
    return order_[place];
  }

 private:
  std::array<uint8_t, 16> order_;
  std::array<float, 15> bounds_;
};

/// Codes of numbers in units of their largest; the last block of a matrix divides where the others multiply by the inverse.
void pack_block(const float *numbers, int64_t n, bool partial, const Nearest &nearest, uint8_t *codes, float &scale) {
  scale = largest_magnitude(numbers, n);
  const float divisor = std::max(scale, smallest_scale), inverse = 1.0f / divisor;
  if (partial) scale = divisor;
  for (int64_t i = 0; i < n; ++i)
    codes[i] = nearest(std::clamp(partial ? numbers[i] / divisor : numbers[i] * inverse, -1.0f, 1.0f));
}

/// The 256 values of a signed number of 8 bits with a movable border between its exponent and its fraction. Dettmers, arXiv:1511.04561.
at::Tensor dynamic_map() {
  std::vector<float> all{0.0f, 1.0f};
  for (int exponent = 0; exponent < 7; ++exponent) {
    const auto ends = at::linspace(0.1, 1, (int64_t{1} << exponent) + 1, at::kFloat);
    const float power = static_cast<float>(std::pow(10.0, exponent - 6));
    for (int64_t i = 0; i + 1 < ends.numel(); ++i) {
      const float *edge = ends.const_data_ptr<float>() + i;
      const float value = (edge[0] + edge[1]) / 2 * power;
      all.insert(all.end(), {value, -value});
    }
  }
  std::sort(all.begin(), all.end());
  return at::tensor(all, at::kFloat);
}

/// Codes of the dynamic map, through a table of 65536 places between −1 and 1.
class DynamicCodes {
 public:
  explicit DynamicCodes(const float *map) {
    uint8_t code = 0;
    for (int place = 0; place < places; ++place) {
      const float value = 2.0f * static_cast<float>(place) / static_cast<float>(places - 1) - 1.0f;
      while (code < 255 && value > (map[code] + map[code + 1]) * 0.5f) ++code;
      codes_[static_cast<size_t>(place)] = code;
    }
  }

  void pack(const float *numbers, int64_t n, uint8_t *out, float &scale) const {
    scale = largest_magnitude(numbers, n);
    if (scale == 0) {
      std::fill(out, out + n, uint8_t{0});
      return;
    }
    const float inverse = 1.0f / scale;
    for (int64_t i = 0; i < n; ++i) {
      const float value = std::clamp(numbers[i] * inverse, -1.0f, 1.0f);
      const float place = std::fma((value + 1.0f) * 0.5f, static_cast<float>(places - 1), 0.5f);
      out[i] = std::isnan(place) ? codes_[0] : codes_[static_cast<size_t>(place)];
    }
  }

 private:
  static constexpr int places = 65536;
  std::array<uint8_t, places> codes_;
};

const at::Tensor &shared_map() {
  static const at::Tensor map = dynamic_map();
  return map;
}

struct Packed {
  at::Tensor numbers, scales, outer, map;
  float offset = 0;
};

/// Puts the scales of 4 bits into 8, less their mean.
void nest(Packed &packed) {
  static const DynamicCodes codes(shared_map().const_data_ptr<float>());
  const auto mean = packed.scales.mean();
  const auto rest = packed.scales - mean;
  const int64_t count = rest.numel(), blocks = parts(count, outer_block);
  packed.offset = mean.item<float>();
  packed.map = shared_map().clone();
  packed.outer = at::empty({blocks}, at::kFloat);
  packed.scales = at::empty({count}, at::kByte);
  const float *source = rest.const_data_ptr<float>();
  for (int64_t b = 0; b < blocks; ++b)
    codes.pack(source + b * outer_block, std::min(outer_block, count - b * outer_block),
               packed.scales.data_ptr<uint8_t>() + b * outer_block, packed.outer.data_ptr<float>()[b]);
}

/// Rows of a weight at a time as float32, rounded to the type `through` before, so that no such copy of a large one is made.
template <typename Body>
void in_parts(const at::Tensor &weight, at::ScalarType through, int64_t rows_at_once, Body &&body) {
  for (int64_t first = 0; first < weight.size(0); first += rows_at_once) {
    const auto rows = weight.slice(0, first, std::min(weight.size(0), first + rows_at_once));
    const auto part = rows.to(through).to(at::kFloat).contiguous();
    TORCH_CHECK(at::isfinite(part.sum()).item<bool>() || at::isfinite(part).all().item<bool>(),
                "a weight that is to be packed holds numbers that are not finite (NaN or infinity)");
    body(first, part);
  }
}

/// As many rows as make up whole blocks and whole bytes, and about four million numbers.
int64_t rows_at_once(int64_t in, int64_t block) {
  const int64_t unit = block / std::gcd(in, block);
  return unit * std::max<int64_t>(1, (int64_t{1} << 22) / (unit * in));
}

Packed four_bits(const at::Tensor &weight, ct_packing packing, int64_t block, bool nested) {
  const int64_t in = weight.size(1), count = weight.numel(), blocks = parts(count, block);
  const Nearest nearest(packing);
  Packed packed{at::empty({parts(count, 2), 1}, at::kByte), at::empty({blocks}, at::kFloat), {}, {}};
  auto *bytes = packed.numbers.data_ptr<uint8_t>();
  auto *scales = packed.scales.data_ptr<float>();
  in_parts(weight, weight.scalar_type(), rows_at_once(in, block), [&](int64_t first, const at::Tensor &part) {
    const float *numbers = part.const_data_ptr<float>();
    const int64_t start = first * in, size = part.numel();
    ct::parallel_for(parts(size, block), numbers_per_task / block, [&](int64_t begin, int64_t end) {
      std::vector<uint8_t> codes(static_cast<size_t>(block) + 1);
      for (int64_t b = begin; b < end; ++b) {
        const int64_t n = std::min(block, size - b * block);
        pack_block(numbers + b * block, n, n < block, nearest, codes.data(), scales[start / block + b]);
        if (n % 2 == 1) codes[static_cast<size_t>(n)] = nearest(0);
        uint8_t *target = bytes + (start + b * block) / 2;
        for (int64_t i = 0; i < parts(n, 2); ++i) target[i] = static_cast<uint8_t>(codes[2 * i] << 4 | codes[2 * i + 1]);
      }
    });
  });
  if (nested) nest(packed);
  return packed;
}

/// 127·w in units of the largest of a row, of weights that are float16 first.
Packed eight_bits(const at::Tensor &weight) {
  const int64_t out = weight.size(0), in = weight.size(1);
  Packed packed{at::empty({out, in}, at::kChar), at::empty({out}, at::kFloat), {}, {}};
  in_parts(weight, at::kHalf, std::max<int64_t>(1, (int64_t{1} << 22) / in), [&](int64_t first, const at::Tensor &part) {
    ct::parallel_for(part.size(0), std::max<int64_t>(1, numbers_per_task / in), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float *numbers = part.const_data_ptr<float>() + row * in;
        auto *target = packed.numbers.data_ptr<int8_t>() + (first + row) * in;
        const float scale = largest_magnitude(numbers, in);
        packed.scales.data_ptr<float>()[first + row] = scale;
        const float inverse = scale > 0 ? 1.0f / scale * 127.0f : 0;  // in this order, as torch divides a number by a tensor
        for (int64_t i = 0; i < in; ++i) target[i] = static_cast<int8_t>(std::nearbyint(numbers[i] * inverse));
      }
    });
  });
  return packed;
}

}  // namespace

ct_status ct_pack(ct_tensor weight, ct_packing packing, int64_t block, bool nested, ct_packed_weight *out) {
  return ct::guarded([&] {
    const at::NoGradGuard no_gradients;
    ct::check_out(out);
    const auto &w = ct::ref(weight);
    TORCH_CHECK(w.is_cpu() && w.dim() == 2 && w.numel() > 0 && at::isFloatingType(w.scalar_type()),
                "weights are packed from a matrix of floating-point numbers on the CPU, not ", w.sizes(), " of ", w.scalar_type(),
                " on ", w.device());
    const bool is_int8 = packing == CT_PACKED_INT8;
    TORCH_CHECK(is_int8 || packing == CT_PACKED_NF4 || packing == CT_PACKED_FP4, "weights are packed as nf4, fp4 or int8");
    TORCH_CHECK(is_int8 || (block >= 32 && block <= 4096 && (block & (block - 1)) == 0), "blocks of ", block, " numbers");
    auto packed = is_int8 ? eight_bits(w) : four_bits(w, packing, block, nested);
    ct_packed_weight result{packing, CT_BLOCK_F32, w.size(0), w.size(1), {}, {}, {}, {}, packed.offset, is_int8 ? 0 : block, CT_FLOAT32};
    result.numbers = ct::own(std::move(packed.numbers));
    result.scales = ct::own(std::move(packed.scales));
    if (packed.outer.defined()) {
      result.outer_scales = ct::own(std::move(packed.outer));
      result.map = ct::own(std::move(packed.map));
    }
    *out = result;
  });
}
