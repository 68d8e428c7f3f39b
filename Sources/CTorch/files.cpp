#include "ct_files.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>

namespace {

constexpr int lanes = 16;

/// `table[k][b]` carries byte `b` past `k` further bytes, so that sixteen bytes take sixteen independent look-ups.
using Table = std::array<std::array<uint32_t, 256>, lanes>;

constexpr Table make_table() {
  Table table{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; bit++) value = value & 1 ? (value >> 1) ^ 0xEDB88320u : value >> 1;
    table[0][byte] = value;
  }
  for (int lane = 1; lane < lanes; lane++)
    for (int byte = 0; byte < 256; byte++) {
      const uint32_t before = table[lane - 1][byte];
      table[lane][byte] = (before >> 8) ^ table[0][before & 255];
    }
  return table;
}

constexpr Table table = make_table();

} // namespace

int32_t ct_exchange_paths(const char *first, const char *second) {
#if defined(__linux__)
  return renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE) == 0 ? 0 : errno;
#elif defined(__APPLE__)
  return renamex_np(first, second, RENAME_SWAP) == 0 ? 0 : errno;
#else
  (void)first, (void)second;
  return ENOTSUP;
#endif
}

uint32_t ct_crc32(uint32_t before, const void *bytes, int64_t count) {
  uint32_t state = ~before;
  const auto *next = static_cast<const uint8_t *>(bytes);
  for (; count >= lanes; count -= lanes, next += lanes) {
    uint64_t low, high;
    std::memcpy(&low, next, 8);
    std::memcpy(&high, next + 8, 8);
    low ^= state;
    uint32_t even = 0, odd = 0;
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i++) {
      even ^= table[15 - i][uint8_t(low >> (8 * i))];
      odd ^= table[7 - i][uint8_t(high >> (8 * i))];
    }
    state = even ^ odd;
  }
  for (; count > 0; count--, next++) state = (state >> 8) ^ table[0][(state ^ *next) & 255];
  return ~state;
}
