#include "ct_system.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/GradMode.h>
#include <torch/headeronly/version.h>

#include <cmath>
#include <mutex>
#include <string>

#include "boundary.h"
#include "ct_optim.h"
#include "ct_random.h"

const char *ct_version(void) { return TORCH_VERSION; }

const char *ct_cpu_capability(void) {
  static const std::string text = at::get_cpu_capability();
  return text.c_str();
}

bool ct_cuda_available(void) {
  try {
    return at::hasCUDA();
  } catch (...) {
    return false;
  }
}

int32_t ct_cuda_device_count(void) {
  try {
    return at::hasCUDA() ? static_cast<int32_t>(at::detail::getCUDAHooks().deviceCount()) : 0;
  } catch (...) {
    return 0;
  }
}

int32_t ct_threads(void) { return at::get_num_threads(); }

ct_status ct_set_threads(int32_t count) {
  return ct::guarded([&] { at::set_num_threads(count); });
}

ct_status ct_manual_seed(uint64_t seed) {
  return ct::guarded([&] { at::manual_seed(seed); });
}

ct_status ct_random_state(ct_device device, ct_tensor *out) {
  return ct::produce(out, [&] {
    auto generator = at::globalContext().defaultGenerator(ct::device(device));
    std::lock_guard<std::mutex> lock(generator.mutex());
    return generator.get_state();
  });
}

ct_status ct_set_random_state(ct_device device, ct_tensor state) {
  return ct::guarded([&] {
    auto generator = at::globalContext().defaultGenerator(ct::device(device));
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(ct::ref(state));
  });
}

ct_status ct_normal_into(ct_tensor a, double mean, double std) {
  return ct::guarded([&] { ct::ref(a).normal_(mean, std); });
}

ct_status ct_uniform_into(ct_tensor a, double low, double high) {
  return ct::guarded([&] { ct::ref(a).uniform_(low, high); });
}
