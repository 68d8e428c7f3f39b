#ifndef CT_TENSOR_H
#define CT_TENSOR_H

#include "ct_status.h"

/// A handle to one libtorch tensor.
typedef struct ct_tensor {
  void *ctx;
} ct_tensor;

/// Element types. The values are ours, not libtorch's.
typedef enum ct_dtype {
  CT_FLOAT32 = 0,
  CT_FLOAT16,
  CT_BFLOAT16,
  CT_FLOAT64,
  CT_INT8,
  CT_UINT8,
  CT_INT16,
  CT_INT32,
  CT_INT64,
  CT_BOOL,
} ct_dtype;

typedef enum ct_device_kind { CT_CPU = 0, CT_CUDA } ct_device_kind;

/// Where a tensor lives.
typedef struct ct_device {
  ct_device_kind kind;
  int32_t index;
} ct_device;

/// Frees a handle; a null one is accepted.
CT_API void ct_tensor_free(ct_tensor tensor);

/// The number of handles made and not freed, over all threads.
CT_API int64_t ct_live_tensors(void);

/// A tensor with its own copy of `byte_count` bytes in row-major order.
CT_API ct_status ct_tensor_copy(const void *bytes, int64_t byte_count, const int64_t *shape, int64_t rank, ct_dtype dtype,
                                ct_tensor *out);

/// A tensor over memory it does not own: `release(owner)` is called once when the last use of its storage ends, on any
/// thread; on failure it is not called. `bytes` is aligned to the size of an element.
CT_API ct_status ct_tensor_map(void *bytes, int64_t byte_count, const int64_t *shape, int64_t rank, ct_dtype dtype,
                               void *owner, void (*release)(void *owner), ct_tensor *out);

/// Uninitialised memory.
CT_API ct_status ct_empty(const int64_t *shape, int64_t rank, ct_dtype dtype, ct_device device, ct_tensor *out);
CT_API ct_status ct_full(const int64_t *shape, int64_t rank, double value, ct_dtype dtype, ct_device device, ct_tensor *out);
/// `start, start + step, …` up to but without `end`.
CT_API ct_status ct_arange(double start, double end, double step, ct_dtype dtype, ct_device device, ct_tensor *out);

/// The number of dimensions and the size of each; `sizes` belongs to the tensor and lasts as long as its handle.
CT_API ct_status ct_shape(ct_tensor tensor, const int64_t **sizes, int64_t *rank);
/// The number of elements.
CT_API ct_status ct_count(ct_tensor tensor, int64_t *out);
CT_API ct_status ct_dtype_of(ct_tensor tensor, ct_dtype *out);
CT_API ct_status ct_device_of(ct_tensor tensor, ct_device *out);
CT_API ct_status ct_is_contiguous(ct_tensor tensor, bool *out);
/// The address of the first element, valid while the storage lives.
CT_API ct_status ct_data(ct_tensor tensor, void **out);
/// The single element of a one-element tensor.
CT_API ct_status ct_item(ct_tensor tensor, double *out);
/// A number for the storage: equal for two tensors that share memory.
CT_API ct_status ct_storage_id(ct_tensor tensor, uint64_t *out);

CT_API ct_status ct_to_dtype(ct_tensor tensor, ct_dtype dtype, ct_tensor *out);
CT_API ct_status ct_to_device(ct_tensor tensor, ct_device device, ct_tensor *out);
CT_API ct_status ct_contiguous(ct_tensor tensor, ct_tensor *out);
CT_API ct_status ct_clone(ct_tensor tensor, ct_tensor *out);

#endif
