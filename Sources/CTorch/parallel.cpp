#include "parallel.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <exception>

#include "rehearsal.h"

namespace {

// libtorch runs its kernels on libgomp's pool. This compiler emits calls for another OpenMP library, and a second pool of
// threads would fight the first for the cores; so the entry point that GCC would emit is looked up and called by name.
using Region = void (*)(void (*)(void *), void *, unsigned, unsigned);

Region region() {
  static const auto found = reinterpret_cast<Region>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  return found;
}

struct Job {
  const std::function<void(int64_t, int64_t)> *body;
  int64_t count, step;
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error = nullptr;
};

void work(void *context) {
  auto &job = *static_cast<Job *>(context);
  try {
    for (int64_t begin = job.next.fetch_add(job.step); begin < job.count; begin = job.next.fetch_add(job.step))
      (*job.body)(begin, std::min(job.count, begin + job.step));
  } catch (...) {  // no exception may leave a thread of the pool
    if (!job.failed.exchange(true)) job.error = std::current_exception();
  }
}

}  // namespace

namespace {

/// Cuts 0 ..< count into pieces of `step` for `threads` threads.
void run(int64_t threads, int64_t count, int64_t step, const std::function<void(int64_t, int64_t)> &body) {
  if (ct::rehearsal::active()) return;
  if (threads < 2 || region() == nullptr) {
    if (count > 0) body(0, count);
    return;
  }
  Job job{&body, count, step};
  region()(work, &job, static_cast<unsigned>(threads), 0);
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace

void ct::parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)> &body) {
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), count / std::max<int64_t>(grain, 1));
  // Several pieces a thread: one that is held up leaves the rest to the others.
  const int64_t pieces = std::min(4 * threads, count / std::max<int64_t>(grain, 1));
  run(threads, count, threads < 2 ? count : (count + pieces - 1) / pieces, body);
}

void ct::parallel_tasks(int64_t count, const std::function<void(int64_t)> &body) {
  run(std::min<int64_t>(at::get_num_threads(), count), count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) body(task);
  });
}
