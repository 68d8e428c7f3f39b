// Dropout whose mask is made again where it is needed.
#pragma once

#include <ATen/ATen.h>

#include "noise.h"

namespace ct {

/// x without the elements the dropout takes, the others scaled. x is contiguous, on the CPU, float32 or bfloat16; a row is what
/// its last dimension holds.
at::Tensor dropped(const at::Tensor &x, const Dropout &dropout);

/// The same with a new key, and its gradient.
at::Tensor counted_dropout(const at::Tensor &x, double share);

}  // namespace ct
