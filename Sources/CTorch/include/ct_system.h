#ifndef CT_SYSTEM_H
#define CT_SYSTEM_H

#include "ct_status.h"

/// libtorch's version, as "2.13.0". Static.
CT_API const char *ct_version(void);
/// The instruction set libtorch's own kernels use, as "AVX512". Static.
CT_API const char *ct_cpu_capability(void);
CT_API bool ct_cuda_available(void);
CT_API int32_t ct_cuda_device_count(void);
/// Threads inside one operation.
CT_API int32_t ct_threads(void);
CT_API ct_status ct_set_threads(int32_t count);

/// Returns memory of tensors that are gone to the system; else it is kept for the next ones.
CT_API void ct_trim_memory(void);

/// Whether this thread runs the kernels that do a whole layer in one pass (norms, activations, dropout, linear layers, attention);
/// on at first. Off, the same comes from libtorch's own operations: to compare with, and for a machine where one misbehaves.
CT_API bool ct_fused_kernels(void);
CT_API void ct_set_fused_kernels(bool enabled);

#endif
