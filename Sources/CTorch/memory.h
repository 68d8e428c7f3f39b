// Memory of tensors on the processor, kept between uses.
//
// A training step makes and drops the same hundreds of megabytes again and again. What the system takes back it hands out again in
// pages of 4 KB, each cleared and each a miss of the address cache; so large pieces come from regions of huge pages that stay.
#pragma once

#include <cstddef>

namespace ct::memory {

/// At least `bytes` bytes, aligned to a cache line. Throws `std::bad_alloc` where there are none.
void *take(std::size_t bytes);

/// Gives back what `take` gave; null is nothing.
void give(void *memory);

/// Returns regions in which nothing is in use to the system.
void trim();

}  // namespace ct::memory
