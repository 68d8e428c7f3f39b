// How memory of tensors on the processor is cut up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <utility>

namespace ct::memory {

/// Smaller pieces are the C library's.
constexpr std::size_t smallest = std::size_t{1} << 16;
/// Pieces from here on have a region of their own, which goes with them.
constexpr std::size_t own_region = std::size_t{1} << 26;
constexpr std::size_t region_size = std::size_t{1} << 25;
constexpr std::size_t huge_page = std::size_t{1} << 21;
/// Pieces start at multiples of it.
constexpr std::size_t grain = std::size_t{1} << 12;
constexpr std::size_t cache_line = 64;

/// `size` bytes from the system, whole huge pages, none of them in use yet. Throws `std::bad_alloc` where there are none.
///
/// `reserves` is whether the system has to have room for all of it.
char *mapped(std::size_t size, bool reserves);

inline std::size_t rounded(std::size_t size, std::size_t multiple) { return (size + multiple - 1) / multiple * multiple; }

/// Regions cut into pieces; the smallest free piece that is large enough is taken, and neighbours that are free become one.
///
/// `System` says where regions come from and go to, and is told which memory is used: `map(size)`, `unmap(memory, size)`,
/// `use(memory, size)`.
template <typename System>
class Pool {
 public:
  explicit Pool(System system = {}) : system_(std::move(system)) {}

  System &system() { return system_; }

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
    system_.use(memory, size);
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
  using Place = typename Pieces::iterator;

  typename std::set<std::pair<std::size_t, char *>>::iterator add_region(std::size_t size) {
    const std::size_t whole = std::max(region_size, rounded(size, huge_page));
    char *memory = system_.map(whole);
    regions_[memory] = whole;
    pieces_[memory] = {whole, memory, false};
    return free_.insert({whole, memory}).first;
  }

  bool joins(Place piece, Place next) const {
    return next != pieces_.end() && !piece->second.used && !next->second.used && piece->second.region == next->second.region;
  }

  /// Makes a free piece one with the free piece behind it, which is listed.
  void absorb(Place piece, Place next) {
    free_.erase({next->second.size, next->first});
    piece->second.size += next->second.size;
    pieces_.erase(next);
  }

  bool is_whole(Place piece) const { return piece->second.size == regions_.at(piece->second.region); }

  void drop(Place piece) {
    system_.unmap(piece->first, piece->second.size);
    free_.erase({piece->second.size, piece->first});
    regions_.erase(piece->first);
    pieces_.erase(piece);
  }

  System system_;
  std::mutex mutex_;
  Pieces pieces_;
  std::map<char *, std::size_t> regions_;
  std::set<std::pair<std::size_t, char *>> free_;
};

}  // namespace ct::memory
