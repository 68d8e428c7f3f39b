#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <memory>
#include <string>
#include <utility>

#include "boundary.h"
#include "ct_autograd.h"

namespace {

/// A caller's function with its release.
class Hook final : public torch::autograd::PostAccumulateGradHook {
 public:
  explicit Hook(const ct_gradient_function &function) : function_(function) {}
  Hook(const Hook &) = delete;
  Hook &operator=(const Hook &) = delete;
  ~Hook() override { function_.release(function_.context); }

  void operator()(const at::Tensor &tensor) override {
    at::NoGradGuard frozen;
    if (function_.run(function_.context, ct::own(tensor)) == CT_OK) return;
    const std::string text = ct_last_error();
    TORCH_CHECK(false, text);
  }

 private:
  ct_gradient_function function_;
};

}  // namespace

ct_status ct_on_gradient(ct_tensor tensor, ct_gradient_function function) {
  return ct::guarded([&] {
    TORCH_CHECK(function.run != nullptr && function.release != nullptr, "a function is null");
    auto hook = std::make_unique<Hook>(function);
    const auto &leaf = ct::ref(tensor);
    TORCH_CHECK(leaf.is_leaf() && leaf.requires_grad(), "gradients are gathered in leaves that require them, and this is none");
    torch::autograd::impl::set_post_acc_grad_hooks(leaf, std::move(hook));
  });
}

ct_status ct_clear_on_gradient(ct_tensor tensor) {
  return ct::guarded([&] { torch::autograd::impl::set_post_acc_grad_hooks(ct::ref(tensor), nullptr); });
}
