#include "rehearsal.h"

#include <c10/core/Allocator.h>
#include <c10/util/Exception.h>
#include <malloc.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "boundary.h"
#include "ct_rehearsal.h"
#include "memory.h"
#include "pool.h"

namespace {

using namespace ct::memory;

/// Regions that nobody writes to, and how much of them would be in memory: a page that was used once stays.
class Untouched {
 public:
  char *map(std::size_t size) {
    char *memory = mapped(size, false);
    pages_[memory].resize(size / huge_page);
    return memory;
  }

  void unmap(char *memory, std::size_t size) {
    for (const bool used : pages_[memory]) resident -= used ? huge_page : 0;
    pages_.erase(memory);
    munmap(memory, size);
  }

  void use(char *memory, std::size_t size) {
    auto &[start, used] = *std::prev(pages_.upper_bound(memory));
    const auto first = static_cast<std::size_t>(memory - start);
    for (std::size_t page = first / huge_page; page * huge_page < first + size; ++page) {
      resident += used[page] ? 0 : huge_page;
      used[page] = true;
    }
  }

  std::size_t resident = 0;

 private:
  std::map<char *, std::vector<bool>> pages_;
};

/// What was taken, when, and by whom.
class Account {
 public:
  ~Account() { pool_.trim(); }

  void *take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    Entry entry{phase, 0, now_++, never};
    void *memory = nullptr;
    if (bytes >= smallest) {
      memory = pool_.take(bytes);
      entry.bytes = rounded(bytes, grain);
    } else {
      memory = std::aligned_alloc(cache_line, rounded(std::max<std::size_t>(bytes, 1), cache_line));
      if (memory == nullptr) throw std::bad_alloc();
      entry.bytes = malloc_usable_size(memory);
      small_ += entry.bytes;
      most_small_ = std::max(most_small_, small_);
    }
    held_[memory] = {entries_.size(), bytes < smallest};
    entries_.push_back(entry);
    live_ += entry.bytes;
    if (live_ > most_) {
      most_ = live_;
      when_ = entry.birth;
    }
    resident_ = std::max(resident_, pool_.system().resident + most_small_);
    return memory;
  }

  bool give(void *memory) {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(memory);
    if (found == held_.end()) return false;
    auto &entry = entries_[found->second.entry];
    entry.death = now_++;
    live_ -= entry.bytes;
    if (found->second.is_small) {
      small_ -= entry.bytes;
      std::free(memory);
    } else {
      pool_.give(static_cast<char *>(memory));
    }
    held_.erase(found);
    return true;
  }

  bool empty() {
    const std::lock_guard lock(mutex_);
    return held_.empty();
  }

  ct_rehearsal_memory report() {
    const std::lock_guard lock(mutex_);
    ct_rehearsal_memory out{};
    out.live = static_cast<int64_t>(live_);
    out.most = static_cast<int64_t>(most_);
    out.resident = static_cast<int64_t>(resident_);
    for (const auto &entry : entries_) {
      if (entry.birth > when_ || entry.death < when_) continue;
      out.at_most[entry.phase] += static_cast<int64_t>(entry.bytes);
      if (entry.death == never) out.staying[entry.phase] += static_cast<int64_t>(entry.bytes);
    }
    return out;
  }

  std::atomic<int32_t> phase{0};

 private:
  static constexpr int64_t never = INT64_MAX;
  struct Entry {
    int32_t phase;
    std::size_t bytes;
    int64_t birth, death;
  };
  struct Held {
    std::size_t entry;
    bool is_small;
  };

  std::mutex mutex_;
  Pool<Untouched> pool_;
  std::vector<Entry> entries_;
  std::unordered_map<void *, Held> held_;
  int64_t now_ = 0, when_ = -1;
  std::size_t live_ = 0, most_ = 0, resident_ = 0, small_ = 0, most_small_ = 0;
};

thread_local Account *current = nullptr;
thread_local bool as_processor = false;
thread_local bool shapes_only = false;

/// Accounts of which something is held, those at work included. Most of the time there are none.
std::atomic<int> accounts{0};
std::mutex all_mutex;
std::vector<std::unique_ptr<Account>> &all() {
  static auto *const kept = new std::vector<std::unique_ptr<Account>>;
  return *kept;
}

/// Addresses that nothing lies at: of weights, which are made before a rehearsal and are no part of its account.
struct Addresses {
  explicit Addresses(std::size_t bytes) : size(rounded(std::max<std::size_t>(bytes, 1), huge_page)), memory(mapped(size, false)) {}
  ~Addresses() { munmap(memory, size); }
  Addresses(const Addresses &) = delete;
  Addresses &operator=(const Addresses &) = delete;

  const std::size_t size;
  char *const memory;
};

/// libtorch's meta device has no memory; kernels of ours want addresses.
struct MetaAllocator final : c10::Allocator {
  c10::DataPtr allocate(std::size_t bytes) override {
    const c10::Device device(c10::DeviceType::Meta);
    if (bytes == 0) return {nullptr, nullptr, &ct::memory::give, device};
    try {
      if (ct::rehearsal::active()) {
        void *memory = ct::rehearsal::take(bytes);
        return {memory, memory, &ct::memory::give, device};
      }
      auto *addresses = new Addresses(bytes);
      return {addresses->memory, addresses, [](void *own) { delete static_cast<Addresses *>(own); }, device};
    } catch (const std::bad_alloc &) {
      TORCH_CHECK(false, "not enough memory: addresses for a tensor of ", bytes, " bytes");
    }
  }
  void copy_data(void *, const void *, std::size_t) const override {}
};

/// Before libtorch's own, whose priority is 0.
[[maybe_unused]] const bool installed = [] {
  static auto *const allocator = new MetaAllocator;
  c10::SetAllocator(c10::DeviceType::Meta, allocator, 1);
  return true;
}();

}  // namespace

bool ct::rehearsal::active() { return current != nullptr; }

bool ct::rehearsal::on_processor(const at::Tensor &tensor) { return tensor.is_cpu() || (as_processor && tensor.is_meta()); }

void *ct::rehearsal::take(std::size_t bytes) { return current->take(bytes); }

bool ct::rehearsal::give(void *memory) {
  if (accounts.load(std::memory_order_relaxed) == 0) return false;
  const std::lock_guard lock(all_mutex);
  for (auto place = all().begin(); place != all().end(); ++place) {
    if (!(*place)->give(memory)) continue;
    if (place->get() != current && (*place)->empty()) {
      all().erase(place);
      --accounts;
    }
    return true;
  }
  return false;
}

ct_status ct_rehearsal_begin(bool on_processor) {
  return ct::guarded([&] {
    TORCH_CHECK(current == nullptr, "this thread rehearses already");
    const std::lock_guard lock(all_mutex);
    all().push_back(std::make_unique<Account>());
    current = all().back().get();
    as_processor = on_processor;
    ++accounts;
  });
}

ct_status ct_rehearsal_phase(int32_t phase) {
  return ct::guarded([&] {
    TORCH_CHECK(current != nullptr, "this thread does not rehearse");
    TORCH_CHECK(phase >= 0 && phase < CT_REHEARSAL_PHASES, "there is no phase ", phase);
    current->phase = phase;
  });
}

ct_status ct_rehearsal_report(ct_rehearsal_memory *out) {
  return ct::answer(out, [&] {
    TORCH_CHECK(current != nullptr, "this thread does not rehearse");
    return current->report();
  });
}

void ct_rehearsal_end(void) {
  if (current == nullptr) return;
  const std::lock_guard lock(all_mutex);
  auto *const ended = current;
  current = nullptr;
  as_processor = false;
  if (!ended->empty()) return;
  std::erase_if(all(), [&](const auto &account) { return account.get() == ended; });
  --accounts;
}

bool ct_shapes_only(void) { return shapes_only; }

void ct_set_shapes_only(bool value) { shapes_only = value; }
