// Work on the threads libtorch's own kernels use.
#pragma once

#include <cstdint>
#include <functional>

namespace ct {

/// Calls `body(begin, end)` on disjoint ranges that cover 0 ..< count, none but the last smaller than `grain`.
/// The first exception of `body` is thrown again here.
void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)> &body);

/// Calls `body(task)` for each of 0 ..< count, each thread taking the next one when it is done with one.
/// The first exception of `body` is thrown again here.
void parallel_tasks(int64_t count, const std::function<void(int64_t)> &body);

}  // namespace ct
