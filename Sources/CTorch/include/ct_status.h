#ifndef CT_STATUS_H
#define CT_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
#define CT_API extern "C"
#else
#define CT_API extern
#endif

/// What became of a call.
typedef enum ct_status {
  CT_OK = 0,
  /// Shapes, types or values that do not fit the operation.
  CT_INVALID_ARGUMENT,
  /// A dimension or an index that is not there.
  CT_INDEX_RANGE,
  CT_OUT_OF_MEMORY,
  /// No such operation for this type or device.
  CT_NOT_IMPLEMENTED,
  /// A defect, of libtorch, of the device or here.
  CT_INTERNAL,
} ct_status;

/// The text of this thread's last failure, without a backtrace; empty after a success.
/// Owned by the shim, valid until the next call on this thread.
CT_API const char *ct_last_error(void);

/// Makes `text` this thread's last failure, for a function that the shim has called. Returns `CT_INVALID_ARGUMENT`.
CT_API ct_status ct_fail(const char *text);

#endif
