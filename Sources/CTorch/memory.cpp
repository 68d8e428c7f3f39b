#include "memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <set>

#include "ct_system.h"

namespace {

/// Smaller pieces are the C library's.
constexpr std::size_t smallest = std::size_t{1} << 16;
/// Pieces from here on have a region of their own, which goes with them.
constexpr std::size_t own_region = std::size_t{1} << 26;
constexpr std::size_t region_size = std::size_t{1} << 25;
constexpr std::size_t huge_page = std::size_t{1} << 21;
/// Pieces start at multiples of it.
constexpr std::size_t grain = std::size_t{1} << 12;
constexpr std::size_t cache_line = 64;

std::size_t rounded(std::size_t size, std::size_t multiple) { return (size + multiple - 1) / multiple * multiple; }

/// `size` bytes, whole huge pages, from the system.
char *mapped(std::size_t size) {
  void *raw = mmap(nullptr, size + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc();
  const auto start = reinterpret_cast<std::uintptr_t>(raw), aligned = rounded(start, huge_page);
  auto *memory = reinterpret_cast<char *>(aligned);
  if (aligned > start) munmap(raw, aligned - start);
  if (start + huge_page > aligned) munmap(memory + size, start + huge_page - aligned);
#ifdef MADV_HUGEPAGE
  madvise(memory, size, MADV_HUGEPAGE);  // pages of 4 KB where it is refused
#endif
  return memory;
}

/// Regions cut into pieces; the smallest free piece that is large enough is taken, and neighbours that are free become one.
class Pool {
 public:
  char *take(std::size_t bytes) {
    if (bytes > SIZE_MAX / 2) throw std::bad_alloc();
    const std::size_t size = rounded(bytes, grain);
    const std::lock_guard lock(mutex_);
    auto found = free_.lower_bound({size, nullptr});
    if (found == free_.end()) found = add_region(size);
    char *memory = found->second;
    const auto piece = pieces_.find(memory);
    free_.erase(found);
    if (piece->second.size > size) {
      const std::size_t rest = piece->second.size - size;
      pieces_[memory + size] = {rest, piece->second.region, false};
      free_.insert({rest, memory + size});
      piece->second.size = size;
    }
    piece->second.used = true;
    return memory;
  }

  /// False where the memory is not of this pool.
  bool give(char *memory) {
    const std::lock_guard lock(mutex_);
    auto piece = pieces_.find(memory);
    if (piece == pieces_.end() || !piece->second.used) return false;
    piece->second.used = false;
    const auto next = std::next(piece);
    if (joins(piece, next)) absorb(piece, next);
    if (piece != pieces_.begin() && joins(std::prev(piece), piece)) {
      const auto before = std::prev(piece);
      free_.erase({before->second.size, before->first});
      before->second.size += piece->second.size;
      pieces_.erase(piece);
      piece = before;
    }
    free_.insert({piece->second.size, piece->first});
    if (regions_.at(piece->second.region) >= own_region && is_whole(piece)) drop(piece);
    return true;
  }

  void trim() {
    const std::lock_guard lock(mutex_);
    for (auto piece = pieces_.begin(); piece != pieces_.end();) {
      const auto next = std::next(piece);
      if (!piece->second.used && is_whole(piece)) drop(piece);
      piece = next;
    }
  }

 private:
  struct Piece {
    std::size_t size;
    /// Where its region starts.
    char *region;
    bool used;
  };
  using Pieces = std::map<char *, Piece>;

  std::set<std::pair<std::size_t, char *>>::iterator add_region(std::size_t size) {
    const std::size_t whole = std::max(region_size, rounded(size, huge_page));
    char *memory = mapped(whole);
    regions_[memory] = whole;
    pieces_[memory] = {whole, memory, false};
    return free_.insert({whole, memory}).first;
  }

  bool joins(Pieces::iterator piece, Pieces::iterator next) const {
    return next != pieces_.end() && !piece->second.used && !next->second.used && piece->second.region == next->second.region;
  }

  /// Makes a free piece one with the free piece behind it, which is listed.
  void absorb(Pieces::iterator piece, Pieces::iterator next) {
    free_.erase({next->second.size, next->first});
    piece->second.size += next->second.size;
    pieces_.erase(next);
  }

  bool is_whole(Pieces::iterator piece) const { return piece->second.size == regions_.at(piece->second.region); }

  void drop(Pieces::iterator piece) {
    munmap(piece->first, piece->second.size);
    free_.erase({piece->second.size, piece->first});
    regions_.erase(piece->first);
    pieces_.erase(piece);
  }

  std::mutex mutex_;
  Pieces pieces_;
  std::map<char *, std::size_t> regions_;
  std::set<std::pair<std::size_t, char *>> free_;
};

/// Never destroyed: tensors may outlive everything else.
Pool &pool() {
  static auto *const shared = new Pool;
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

void *ct::memory::take(std::size_t bytes) {
  if (bytes >= smallest) return pool().take(bytes);
  void *memory = std::aligned_alloc(cache_line, rounded(std::max<std::size_t>(bytes, 1), cache_line));
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void ct::memory::give(void *memory) {
  if (memory == nullptr) return;
  const bool may_be_piece = reinterpret_cast<std::uintptr_t>(memory) % grain == 0;
  if (!(may_be_piece && pool().give(static_cast<char *>(memory)))) std::free(memory);
}

void ct_trim_memory(void) { ct::memory::trim(); }

void ct::memory::trim() { pool().trim(); }
