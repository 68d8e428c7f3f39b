// Whole layers in one pass over memory, on the CPU in float32 and bfloat16, and the same as compositions of libtorch's
// operations for everything else. The compositions are the reference the tests compare with.
#pragma once

#include <ATen/ATen.h>

namespace ct {

/// Whether the one-pass kernels take these tensors: on the CPU, all float32 or all bfloat16, and not switched off.
bool fusable(std::initializer_list<at::Tensor> tensors);

at::Tensor fused_rotary(const at::Tensor &x, const at::Tensor &cos, const at::Tensor &sin);
at::Tensor composed_rotary(const at::Tensor &x, const at::Tensor &cos, const at::Tensor &sin);
/// The tanh form of GELU.
at::Tensor fused_gelu_tanh(const at::Tensor &x);
at::Tensor fused_swiglu(const at::Tensor &gate, const at::Tensor &up);

}  // namespace ct
