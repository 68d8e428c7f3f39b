#include "ct_autograd.h"

#include <ATen/core/grad_mode.h>

#include "boundary.h"

bool ct_grad_enabled(void) { return at::GradMode::is_enabled(); }

void ct_set_grad_enabled(bool enabled) { at::GradMode::set_enabled(enabled); }

ct_status ct_requires_grad(ct_tensor tensor, bool *out) {
  return ct::answer(out, [&] { return ct::ref(tensor).requires_grad(); });
}

ct_status ct_set_requires_grad(ct_tensor tensor, bool value) {
  return ct::guarded([&] {
    const auto &leaf = ct::ref(tensor);
    TORCH_CHECK(leaf.is_leaf(), "an operation made this tensor, so its inputs say whether it takes gradients; detach it first");
    leaf.set_requires_grad(value);
  });
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
    ct::check_out(has);
    ct::check_out(out);
    const auto &holder = ct::ref(tensor);
    const bool gathers = holder.is_leaf() || holder.retains_grad();
    const at::Tensor grad = gathers ? holder.grad() : at::Tensor();
    if (grad.defined()) *out = ct::own(grad);
    *has = grad.defined();
  });
}

ct_status ct_set_grad(ct_tensor tensor, ct_tensor grad) {
  return ct::guarded([&] {
    at::Tensor target = ct::ref(tensor);
    const at::Tensor value = ct::optional(grad).value_or(at::Tensor());
    if (value.defined())
      TORCH_CHECK(value.sizes() == target.sizes() && value.scalar_type() == target.scalar_type() &&
                      value.device() == target.device(),
                  "a gradient of ", value.sizes(), " ", value.scalar_type(), " on ", value.device(), " for a tensor of ",
                  target.sizes(), " ", target.scalar_type(), " on ", target.device());
    target.mutable_grad() = value;
  });
}
