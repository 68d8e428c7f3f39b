#ifndef CT_FILES_H
#define CT_FILES_H

#include "ct_status.h"

/// Exchanges two paths of one file system in one atomic step: `renameat2` with `RENAME_EXCHANGE` on Linux, `renamex_np` with
/// `RENAME_SWAP` on macOS. Returns 0 or the `errno` of the failure; `EINVAL` or `ENOTSUP` where the file system cannot do it.
CT_API int32_t ct_exchange_paths(const char *first, const char *second);

/// The CRC-32 of zip, gzip and PNG (reflected polynomial 0xEDB88320) of `count` further bytes after those whose value is `before`,
/// which is 0 at the beginning.
CT_API uint32_t ct_crc32(uint32_t before, const void *bytes, int64_t count);

#endif
