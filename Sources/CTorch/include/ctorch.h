/// C face of libtorch: only the operations Attune uses.
///
/// Rules that hold for every function here
/// - The status is the only return value; results go through out-parameters, which stay untouched on failure.
/// - A `ct_tensor` written to an out-parameter is owned by the caller, who frees it once with `ct_tensor_free`.
/// - A `ct_tensor` taken as an argument is borrowed for the call. One whose `ctx` is null stands for "none" where the
///   comment says optional, and is an invalid argument anywhere else.
/// - Shapes, index lists and arrays of handles are borrowed for the call.
/// - No C++ exception leaves a function; its text is read with `ct_last_error` on the same thread.
#ifndef CTORCH_H
#define CTORCH_H

#include "ct_autograd.h"
#include "ct_attention.h"
#include "ct_cache.h"
#include "ct_checkpoint.h"
#include "ct_dequantize.h"
#include "ct_distill.h"
#include "ct_files.h"
#include "ct_linalg.h"
#include "ct_linear.h"
#include "ct_loss.h"
#include "ct_nn.h"
#include "ct_ops.h"
#include "ct_optim.h"
#include "ct_packing.h"
#include "ct_random.h"
#include "ct_rehearsal.h"
#include "ct_status.h"
#include "ct_system.h"
#include "ct_tensor.h"

#endif
