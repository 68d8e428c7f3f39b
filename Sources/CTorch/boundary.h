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
  TORCH_CHECK(count >= 0, "a list of ", count, " numbers");
  TORCH_CHECK(count == 0 || values != nullptr, "a list of ", count, " numbers is null");
  return at::IntArrayRef(values, static_cast<size_t>(count));
}

std::vector<at::Tensor> list(const ct_tensor *handles, int64_t count);

/// Throws where there is nowhere to put a result.
inline void check_out(const void *out) { TORCH_CHECK(out != nullptr, "an out-parameter is null"); }

/// Makes a tensor with `make` and hands it out; nothing is handed out if it throws.
template <typename Make>
ct_status produce(ct_tensor *out, Make &&make) noexcept {
  return guarded([&] {
    check_out(out);
    *out = own(make());
  });
}

/// Makes two tensors with `make` and hands both out, or neither.
template <typename Make>
ct_status produce_pair(ct_tensor *first, ct_tensor *second, Make &&make) noexcept {
  return guarded([&] {
    check_out(first);
    check_out(second);
    auto [one, other] = make();
    const ct_tensor owned = own(std::move(one));
    try {
      *second = own(std::move(other));
    } catch (...) {
      ct_tensor_free(owned);
      throw;
    }
    *first = owned;
  });
}

/// Finds a value with `ask` and hands it out; nothing is handed out if it throws.
template <typename Value, typename Ask>
ct_status answer(Value *out, Ask &&ask) noexcept {
  return guarded([&] {
    check_out(out);
    *out = ask();
  });
}

}  // namespace ct
