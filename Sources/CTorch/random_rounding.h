// Rounding of float32 to bfloat16, up or down at random so that the mean is exact.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace ct {

/// Sixteen random bits, from a key and a number's place, are added below bfloat16's last bit, and what is below is cut off: a number is
/// rounded up with the probability of its distance from the lower neighbour. Infinities and NaN stay.
void round_at_random(const float *in, uint16_t *out, uint64_t noise, int64_t place, int64_t n);

/// The same of a whole tensor, on any device.
at::Tensor round_at_random(const at::Tensor &numbers, uint64_t noise);

}  // namespace ct
