#include "ct_checkpoint.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "boundary.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A caller's function with its release, and what is kept for it in the place of its inputs.
class Function final : public torch::CustomClassHolder {
 public:
  Function(const ct_function &function, int64_t outputs, variable_list kept)
      : kept(std::move(kept)), function_(function), outputs_(outputs) {}
  ~Function() override { function_.release(function_.context); }

  variable_list call(const variable_list &inputs) const {
    std::vector<ct_tensor> handles, outs(static_cast<size_t>(outputs_));
    for (const auto &input : inputs) handles.push_back(ct::own(input));
    const auto status =
        function_.run(function_.context, handles.data(), static_cast<int64_t>(handles.size()), outs.data(), outputs_);
    if (status != CT_OK) {
      const std::string text = ct_last_error();
      for (const auto out : outs)
        if (out.ctx != nullptr) ct_tensor_free(out);
      TORCH_CHECK(false, text);
    }
    variable_list results;
    for (const auto out : outs) {
      results.push_back(ct::ref(out));
      ct_tensor_free(out);
    }
    return results;
  }

  /// Empty where the inputs themselves are kept.
  variable_list kept;
  /// Which of them took a gradient.
  std::vector<bool> learns;

 private:
  ct_function function_;
  int64_t outputs_;
};

/// The state of the random numbers of a device, which comes back when it goes.
class RandomState {
 public:
  explicit RandomState(const at::Device &device) : generator_(at::globalContext().defaultGenerator(device.is_meta() ? at::Device(at::kCPU) : device)), state_(get()) {}
  at::Tensor get() {
    const std::lock_guard<std::mutex> lock(generator_.mutex());
    return generator_.get_state();
  }
  void set(const at::Tensor &state) {
    const std::lock_guard<std::mutex> lock(generator_.mutex());
    generator_.set_state(state);
  }
  ~RandomState() { set(state_); }

 private:
  at::Generator generator_;
  at::Tensor state_;
};

/// `inputs` ends with a number that takes a gradient, so that the results do even where only leaves that are captured need one.
struct Checkpoint : torch::autograd::Function<Checkpoint> {
  static variable_list forward(AutogradContext *ctx, at::TensorList inputs, const c10::intrusive_ptr<::Function> &function) {
    const variable_list given(inputs.begin(), inputs.end() - 1);
    ctx->saved_data["function"] = c10::IValue::make_capsule(function);
    ctx->saved_data["random"] = RandomState(given[0].device()).get();
    ctx->saved_data["device"] = given[0].device();
    if (function->kept.empty()) ctx->save_for_backward(given);
    for (const auto &input : given) function->learns.push_back(input.requires_grad());
    ctx->set_materialize_grads(false);
    return function->call(given);
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto function = c10::static_intrusive_pointer_cast<::Function>(ctx->saved_data["function"].toCapsule());
    const auto device = ctx->saved_data["device"].toDevice();
    variable_list inputs;
    // What was kept elsewhere goes when it has been used once.
    auto saved = function->kept.empty() ? ctx->get_saved_variables() : std::exchange(function->kept, {});
    TORCH_CHECK(saved.size() == function->learns.size(), "a part whose inputs were kept elsewhere goes backward a second time");
    for (const auto &input : saved) {
      inputs.push_back(input.detach().to(device));
      inputs.back().set_requires_grad(function->learns[inputs.size() - 1]);
    }
    saved.clear();
    variable_list outs, wanted, given;
    {
      RandomState random(device);
      random.set(ctx->saved_data["random"].toTensor());
      const at::AutoGradMode recording(true);
      outs = function->call(inputs);
    }
    for (size_t i = 0; i < outs.size(); ++i) {
      if (!grads[i].defined() || !outs[i].requires_grad()) continue;
      wanted.push_back(outs[i]);
      given.push_back(grads[i]);
    }
    if (!wanted.empty()) torch::autograd::backward(wanted, given);
    variable_list results;
    for (const auto &input : inputs) results.push_back(input.grad());
    results.resize(inputs.size() + 2);  // the number that takes a gradient, and the function
    return results;
  }
};

}  // namespace

ct_status ct_checkpoint(ct_function function, const ct_tensor *inputs, int64_t input_count, const ct_tensor *kept, ct_tensor *outs,
                        int64_t output_count) {
  return ct::guarded([&] {
    TORCH_CHECK(function.run != nullptr && function.release != nullptr, "a function is null");
    const auto held = c10::make_intrusive<Function>(function, output_count, variable_list{});
    ct::check_out(outs);
    auto all = ct::list(inputs, input_count);
    if (kept != nullptr) held->kept = ct::list(kept, input_count);
    for (size_t i = 0; i < held->kept.size(); ++i)
      TORCH_CHECK(held->kept[i].sizes() == all[i].sizes() && held->kept[i].scalar_type() == all[i].scalar_type(), "kept in place of ",
                  all[i].sizes(), " of ", all[i].scalar_type(), " is ", held->kept[i].sizes(), " of ", held->kept[i].scalar_type());
    TORCH_CHECK(!all.empty() && output_count > 0, "a part of ", all.size(), " inputs and ", output_count, " results");
    all.push_back(at::zeros({}, all[0].options().dtype(at::kFloat)).set_requires_grad(true));
    auto results = Checkpoint::apply(at::TensorList(all), held);
    for (int64_t i = 0; i < output_count; ++i) outs[i] = ct::own(std::move(results[static_cast<size_t>(i)]));
  });
}
