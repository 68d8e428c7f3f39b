#include "ct_autograd.h"

#include <ATen/core/grad_mode.h>

#include "boundary.h"

bool ct_grad_enabled(void) { return at::GradMode::is_enabled(); }

void ct_set_grad_enabled(bool enabled) { at::GradMode::set_enabled(enabled); }

ct_status ct_requires_grad(ct_tensor tensor, bool *out) {
  return ct::guarded([&] { *out = ct::ref(tensor).requires_grad(); });
}

ct_status ct_set_requires_grad(ct_tensor tensor, bool value) {
  return ct::guarded([&] { ct::ref(tensor).set_requires_grad(value); });
}

ct_status ct_detach(ct_tensor tensor, ct_tensor *out) {
  return ct::produce(out, [&] { return ct::ref(tensor).detach(); });
}

ct_status ct_backward(ct_tensor loss) {
  return ct::guarded([&] {
    TORCH_CHECK(ct::ref(loss).numel() == 1, "backward starts from one number, not from shape ", ct::ref(loss).sizes());
    ct::ref(loss).backward();
  });
}

ct_status ct_grad(ct_tensor tensor, bool *has, ct_tensor *out) {
  return ct::guarded([&] {
    const at::Tensor &grad = ct::ref(tensor).grad();
    *has = grad.defined();
    if (grad.defined()) *out = ct::own(grad);
  });
}

ct_status ct_set_grad(ct_tensor tensor, ct_tensor grad) {
  return ct::guarded([&] {
    at::Tensor target = ct::ref(tensor);
    target.mutable_grad() = ct::optional(grad).value_or(at::Tensor());
  });
}
