// The one boundary between C++ and its callers in C.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "ct_tensor.h"

namespace ct {

/// Runs `body`, turns what it throws into a status, and keeps the text for `ct_last_error`.
ct_status describe_current_exception() noexcept;
void clear_error() noexcept;

template <typename Body>
ct_status guarded(Body &&body) noexcept {
  clear_error();
  try {
    body();
    return CT_OK;
  } catch (...) {
    return describe_current_exception();
  }
}

/// The tensor behind a handle; throws where there is none.
const at::Tensor &ref(ct_tensor handle);
/// The tensor behind a handle that may be null.
std::optional<at::Tensor> optional(ct_tensor handle);
/// A new handle; the live count goes up by one.
ct_tensor own(at::Tensor tensor);

at::ScalarType scalar_type(ct_dtype dtype);
at::Device device(ct_device device);

inline at::IntArrayRef sizes(const int64_t *values, int64_t count) {
  TORCH_CHECK(count == 0 || values != nullptr, "a list of ", count, " numbers is null");
  return at::IntArrayRef(values, static_cast<size_t>(count));
}

std::vector<at::Tensor> list(const ct_tensor *handles, int64_t count);

/// Makes a tensor with `make` and hands it out; nothing is handed out if it throws.
template <typename Make>
ct_status produce(ct_tensor *out, Make &&make) noexcept {
  return guarded([&] {
    TORCH_CHECK(out != nullptr, "the out-parameter is null");
    *out = own(make());
  });
}

}  // namespace ct
