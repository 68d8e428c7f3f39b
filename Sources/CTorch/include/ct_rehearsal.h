#ifndef CT_REHEARSAL_H
#define CT_REHEARSAL_H

#include "ct_tensor.h"

/// Beside CPU and GPU a device that is nowhere: tensors there have shape and type and no numbers; they are read as zeros.
static const ct_device_kind CT_META = (ct_device_kind)2;

/// Phases that a rehearsal tells apart.
enum { CT_REHEARSAL_PHASES = 8 };

/// The memory that a rehearsal has taken so far, in bytes.
typedef struct ct_rehearsal_memory {
  /// In use now, and at most so far.
  int64_t live, most;
  /// What the system would have had to give for that, spare pieces between those in use included.
  int64_t resident;
  /// What was in use when it was most, by the phase it was taken in; and of that, what is in use still.
  int64_t at_most[CT_REHEARSAL_PHASES], staying[CT_REHEARSAL_PHASES];
} ct_rehearsal_memory;

/// Begins a rehearsal on this thread, which has none yet: until it ends, tensors of the device `CT_META` take memory that is counted
/// and not used, and kernels of ours compute nothing. `on_processor` is whether they run as on the CPU, else as on a GPU.
CT_API ct_status ct_rehearsal_begin(bool on_processor);
/// What is taken from now on belongs to this phase, from 0 to CT_REHEARSAL_PHASES − 1; others are refused.
CT_API ct_status ct_rehearsal_phase(int32_t phase);
/// What was taken so far.
CT_API ct_status ct_rehearsal_report(ct_rehearsal_memory *out);
/// Ends it; tensors made in it may live on.
CT_API void ct_rehearsal_end(void);

/// Whether `ct_empty` makes tensors on `CT_META` where it is asked for the CPU, on this thread.
CT_API bool ct_shapes_only(void);
CT_API void ct_set_shapes_only(bool value);

#endif
