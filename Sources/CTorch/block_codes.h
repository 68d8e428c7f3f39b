// Numbers in 8 bits: codes of a map of 256 values, and one scale for each 256 numbers. Dettmers et al., arXiv:2110.02861.
#pragma once

#include <ATen/ATen.h>

#include <array>
#include <vector>

namespace ct {

/// Numbers that share a scale.
constexpr int64_t code_block = 256;

/// How many scales `count` numbers have.
inline int64_t code_blocks(int64_t count) { return (count + code_block - 1) / code_block; }

/// The values of the codes, and the way back.
class DynamicMap {
 public:
  /// The one of both there are; made on the first call.
  static const DynamicMap &get(bool is_signed);

  /// The values, ascending.
  const at::Tensor &values() const { return values_; }
  /// Halfway between one value and the next: what is not above it belongs to the lower one.
  const at::Tensor &bounds() const { return bounds_; }

  /// `n` numbers out of whole blocks, the last of which may be shorter.
  void decode(const uint8_t *codes, const float *scales, float *out, int64_t n) const;
  void encode(const float *numbers, uint8_t *codes, float *scales, int64_t n) const;

  /// The same of whole tensors, on any device.
  at::Tensor decode(const at::Tensor &codes, const at::Tensor &scales) const;
  void encode(const at::Tensor &numbers, const at::Tensor &codes, const at::Tensor &scales) const;

 private:
  explicit DynamicMap(bool is_signed);

  at::Tensor values_, bounds_;
  std::array<float, 256> value_, bound_;
  /// For the upper 16 bits of a number, the code of the least number that has them; no bound but one lies among those.
  std::vector<uint8_t> first_;
};

}  // namespace ct
