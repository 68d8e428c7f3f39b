#include "ct_files.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>

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
