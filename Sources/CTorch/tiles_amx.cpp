#include "tile_engine.h"
#include "tile_pairs.h"

#if defined(__x86_64__) && defined(__linux__)

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CT_TILES __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq")))

namespace {

/// Asks the kernel for the tile registers, which a process has to do once (ARCH_REQ_XCOMP_PERM for XTILEDATA).
bool ask() {
  if (!__builtin_cpu_supports("amx-tile") || !__builtin_cpu_supports("amx-bf16") || !ct::tiles::packs_pairs())
    return false;
  constexpr int request = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request, tile_data) == 0;
}

struct alignas(64) Configuration {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

CT_TILES void configure() {
  Configuration configuration;
  for (int i = 0; i < 8; ++i) {
    configuration.row_bytes[i] = 64;
    configuration.rows[i] = 16;
  }
  _tile_loadconfig(&configuration);
}

CT_TILES void release() { _tile_release(); }

/// Asks for `lines` cache lines, one every `stride` numbers. Addresses past the end of a matrix do no harm.
template <int lines>
CT_TILES void fetch(const uint16_t *first, int64_t stride) {
  for (int i = 0; i < lines; ++i) _mm_prefetch(reinterpret_cast<const char *>(first + i * stride), _MM_HINT_T0);
}

// Tiles are loaded without the processor's own guessing of what comes next, from the second cache or beyond: a step asks for the
// packed numbers of the next step, and for its share of the rows that the next call takes.
CT_TILES void block(const uint16_t *a, int64_t stride, const uint16_t *b, int64_t steps, float *c, int64_t c_stride, bool add,
                    const ct::tiles::Ahead &ahead) {
  const int64_t a_bytes = stride * 2, c_bytes = c_stride * 4;
  const uint16_t *below = a + 16 * stride;
  float *c_below = c + 16 * c_stride;
  if (add) {
    _tile_loadd(0, c, c_bytes);
    _tile_loadd(1, c + 16, c_bytes);
    _tile_loadd(2, c_below, c_bytes);
    _tile_loadd(3, c_below + 16, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t step = 0; step < steps; ++step, a += 32, below += 32, b += 1024) {
    _tile_loadd(6, b, 64);
    _tile_loadd(4, a, a_bytes);
    _tile_dpbf16ps(0, 4, 6);
    fetch<16>(b + 1024, 32);
    _tile_loadd(5, below, a_bytes);
    _tile_dpbf16ps(2, 5, 6);
    fetch<16>(b + 1536, 32);
    _tile_loadd(7, b + 512, 64);
    _tile_dpbf16ps(1, 4, 7);
    for (int64_t row = 0; row < ahead.rows; ++row) fetch<1>(ahead.first + row * stride + step * 32, 0);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, c_bytes);
  _tile_stored(1, c + 16, c_bytes);
  _tile_stored(2, c_below, c_bytes);
  _tile_stored(3, c_below + 16, c_bytes);
}

}  // namespace

const ct::tiles::Engine *ct::tiles::unit() {
  static const Engine engine{pair_block, configure, release, pack_pair_columns, pack_pair_rows, block, turn_pairs};
  static const bool found = ask();
  return found ? &engine : nullptr;
}

#else

const ct::tiles::Engine *ct::tiles::unit() { return nullptr; }

#endif
