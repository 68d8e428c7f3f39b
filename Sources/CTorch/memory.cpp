#include "memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "ct_system.h"
#include "pool.h"
#include "rehearsal.h"

namespace {

using namespace ct::memory;

/// Regions of huge pages from the system.
struct HugePages {
  static char *map(std::size_t size) {
    char *memory = mapped(size, true);
#ifdef MADV_HUGEPAGE
    madvise(memory, size, MADV_HUGEPAGE);  // pages of 4 KB where it is refused
#endif
    return memory;
  }
  static void unmap(char *memory, std::size_t size) { munmap(memory, size); }
  static void use(char *, std::size_t) {}
};

/// Never destroyed: tensors may outlive everything else.
Pool<HugePages> &pool() {
  static auto *const shared = new Pool<HugePages>;
  return *shared;
}

/// The pool as libtorch asks for memory.
struct Allocator final : c10::Allocator {
  c10::DataPtr allocate(std::size_t bytes) override {
    void *memory = nullptr;
    try {
      if (bytes > 0) memory = ct::memory::take(bytes);
    } catch (const std::bad_alloc &) {
      TORCH_CHECK(false, "not enough memory: a tensor of ", bytes, " bytes");
    }
    return {memory, memory, &ct::memory::give, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &ct::memory::give; }
  void copy_data(void *to, const void *from, std::size_t count) const override { default_copy_data(to, from, count); }
};

/// Before libtorch's own, whose priority is 0.
[[maybe_unused]] const bool installed = [] {
  static auto *const allocator = new Allocator;
  c10::SetCPUAllocator(allocator, 1);
  return true;
}();

}  // namespace

char *ct::memory::mapped(std::size_t size, bool reserves) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (reserves ? 0 : MAP_NORESERVE);
  void *raw = mmap(nullptr, size + huge_page, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc();
  const auto start = reinterpret_cast<std::uintptr_t>(raw), aligned = rounded(start, huge_page);
  auto *memory = reinterpret_cast<char *>(aligned);
  if (aligned > start) munmap(raw, aligned - start);
  if (start + huge_page > aligned) munmap(memory + size, start + huge_page - aligned);
  return memory;
}

void *ct::memory::take(std::size_t bytes) {
  if (rehearsal::active()) return rehearsal::take(bytes);
  if (bytes >= smallest) return pool().take(bytes);
  void *memory = std::aligned_alloc(cache_line, rounded(std::max<std::size_t>(bytes, 1), cache_line));
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void ct::memory::give(void *memory) {
  if (memory == nullptr || rehearsal::give(memory)) return;
  const bool may_be_piece = reinterpret_cast<std::uintptr_t>(memory) % grain == 0;
  if (!(may_be_piece && pool().give(static_cast<char *>(memory)))) std::free(memory);
}

void ct_trim_memory(void) { ct::memory::trim(); }

void ct::memory::trim() { pool().trim(); }
