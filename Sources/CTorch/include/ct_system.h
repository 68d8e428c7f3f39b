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

/// What products of bfloat16 are computed with on the CPU: the tile unit (AMX), vectors of pairs of bfloat16 (AVX512-BF16), or vectors of
/// float32. At first the first of these that the processor has.
typedef enum ct_block_engine { CT_BLOCKS_TILE_UNIT = 0, CT_BLOCKS_PAIRS, CT_BLOCKS_FLOAT32 } ct_block_engine;
CT_API ct_block_engine ct_current_block_engine(void);
/// Of the whole process: not to be set while anything is computed. False, with nothing changed, where the processor lacks it.
CT_API bool ct_set_block_engine(ct_block_engine engine);

#endif
