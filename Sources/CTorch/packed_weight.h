// Frozen weights in few bits, as tensors.
#pragma once

#include <ATen/ATen.h>
#include <torch/custom_class.h>

#include "packing.h"

namespace ct {

/// A weight [out, in] whose bits its tensors hold; checked when it is made.
class PackedWeight : public torch::CustomClassHolder {
 public:
  /// Throws where the tensors do not fit the format.
  explicit PackedWeight(const ct_packed_weight &given);

  int64_t outputs() const { return matrix_.out; }
  int64_t inputs() const { return matrix_.in; }
  const at::Tensor &numbers() const { return numbers_; }
  /// Of 8 bits: the largest magnitude of each row [out].
  const at::Tensor &scales() const { return scales_; }
  bool is_int8() const { return matrix_.packing == CT_PACKED_INT8; }
  /// The same as plain memory; valid while this lives.
  const packing::Matrix &matrix() const { return matrix_; }

  /// Rows first ..< last of columns from ..< to, in float32, bfloat16 or float16.
  at::Tensor expanded(at::ScalarType type, int64_t first, int64_t last, int64_t from, int64_t to) const;

 private:
  void check() const;

  at::Tensor numbers_, scales_, outer_, map_;
  packing::Matrix matrix_;
};

}  // namespace ct
