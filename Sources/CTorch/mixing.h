// Random bits from a counter.
#pragma once

#include <cstdint>

namespace ct {

/// A bijection of 32 bits in which each bit of the result depends on all bits of `x`. The constants are from a search for small
/// bias: C. Wellons, "Prospecting for Hash Functions", 2018.
__attribute__((always_inline)) inline uint32_t mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  x ^= x >> 16;
  return x;
}

}  // namespace ct
