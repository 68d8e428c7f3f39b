// Work that is gone through without numbers, to learn what memory it takes.
//
// On a thread that rehearses, tensors of the meta device are cut out of regions as those of the processor are, but nothing is written
// there: libtorch computes nothing for them, and the loops of our kernels, which all run through `parallel_for`, are left out. So
// the same code takes and gives back the same pieces in the same order, and no memory is used.
#pragma once

#include <ATen/ATen.h>

#include <cstddef>

namespace ct::rehearsal {

/// Whether this thread rehearses.
bool active();

/// Whether a tensor is worked on by the processor, or would be by what this thread rehearses.
bool on_processor(const at::Tensor &tensor);

/// What `ct::memory::take` and `ct::memory::give` are on such a thread; `give` is false for memory of others.
void *take(std::size_t bytes);
bool give(void *memory);

}  // namespace ct::rehearsal
