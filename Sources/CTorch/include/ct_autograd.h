#ifndef CT_AUTOGRAD_H
#define CT_AUTOGRAD_H

#include "ct_tensor.h"

/// Whether this thread records operations for gradients.
CT_API bool ct_grad_enabled(void);
CT_API void ct_set_grad_enabled(bool enabled);

CT_API ct_status ct_requires_grad(ct_tensor tensor, bool *out);
/// For a tensor made by hand, not by an operation.
CT_API ct_status ct_set_requires_grad(ct_tensor tensor, bool value);
/// The same data, outside the graph.
CT_API ct_status ct_detach(ct_tensor tensor, ct_tensor *out);
/// Adds the gradient of `loss` (one element) to every leaf that requires one.
CT_API ct_status ct_backward(ct_tensor loss);
/// The gradient gathered so far; `has` is false and `out` untouched where there is none.
CT_API ct_status ct_grad(ct_tensor tensor, bool *has, ct_tensor *out);
/// Replaces the gradient by one of the tensor's shape, type and device; a null handle clears it.
CT_API ct_status ct_set_grad(ct_tensor tensor, ct_tensor grad);

/// What is called for a tensor whose gradient is complete. `run` owns the handle, and may fail with what `ct_fail` was told, which ends
/// the backward pass; `release` is called once, when it will not be called any more.
typedef struct ct_gradient_function {
  void *context;
  ct_status (*run)(void *context, ct_tensor tensor);
  void (*release)(void *context);
} ct_gradient_function;

/// Has `function` called in each backward pass that ends at the leaf `tensor`, when nothing more will be added to its gradient in that
/// pass; on the thread that computes it, without recording. Replaces what was there. Takes the function in any case.
CT_API ct_status ct_on_gradient(ct_tensor tensor, ct_gradient_function function);
/// Nothing is called any more.
CT_API ct_status ct_clear_on_gradient(ct_tensor tensor);

#endif
