#ifndef CT_CHECKPOINT_H
#define CT_CHECKPOINT_H

#include "ct_tensor.h"

/// A function of tensors that can be called more than once. `run` owns its inputs, and hands out `output_count` tensors or fails
/// with what `ct_fail` was told; `release` is called once, when it will not be called any more.
typedef struct ct_function {
  void *context;
  ct_status (*run)(void *context, const ct_tensor *inputs, int64_t input_count, ct_tensor *outs, int64_t output_count);
  void (*release)(void *context);
} ct_function;

/// The function's outputs, of which nothing but the inputs is kept: the backward pass calls it again, with the random numbers it
/// had. Leaves that it captures get their gradients too. It must not hand out an input as it is. Takes the function in any case.
/// `kept`: as many tensors with the numbers of the inputs, of the same shapes and types, that are kept in the inputs' place until the
/// backward pass has used them; null keeps the inputs themselves.
CT_API ct_status ct_checkpoint(ct_function function, const ct_tensor *inputs, int64_t input_count, const ct_tensor *kept,
                               ct_tensor *outs, int64_t output_count);

#endif
