#include "boundary.h"

#include <c10/util/Exception.h>

#include <atomic>
#include <new>
#include <string>
#include <string_view>

namespace {
thread_local std::string last_error;
std::atomic<int64_t> live{0};

ct_status keep(ct_status status, const char *text) noexcept {
  try {
    last_error = text;
  } catch (...) {
    last_error.clear();
  }
  return status;
}

/// What a plain `c10::Error` is about, by its words: libtorch has classes for these cases and does not always use them.
ct_status status_of(std::string_view text) {
  const auto tells = [&](std::string_view words) { return text.find(words) != std::string_view::npos; };
  if (tells("can't allocate memory") || tells("not enough memory")) return CT_OUT_OF_MEMORY;
  if (tells("out of bounds for dimension")) return CT_INDEX_RANGE;
  if (tells("INTERNAL ASSERT FAILED")) return CT_INTERNAL;
  return CT_INVALID_ARGUMENT;
}
}  // namespace

namespace ct {

void clear_error() noexcept { last_error.clear(); }

ct_status describe_current_exception() noexcept {
  try {
    throw;
  } catch (const c10::OutOfMemoryError &error) {
    return keep(CT_OUT_OF_MEMORY, error.what_without_backtrace());
  } catch (const c10::IndexError &error) {
    return keep(CT_INDEX_RANGE, error.what_without_backtrace());
  } catch (const c10::NotImplementedError &error) {
    // A missing kernel is told with pages about the others; its first sentence says all.
    const std::string text = error.what_without_backtrace();
    return keep(CT_NOT_IMPLEMENTED, text.substr(0, text.find(" This could be because")).c_str());
  } catch (const c10::AcceleratorError &error) {
    return keep(CT_INTERNAL, error.what_without_backtrace());
  } catch (const c10::Error &error) {
    const char *text = error.what_without_backtrace();
    return keep(status_of(text), text);
  } catch (const std::bad_alloc &) {
    return keep(CT_OUT_OF_MEMORY, "the system has no memory left");
  } catch (const std::exception &error) {
    return keep(CT_INTERNAL, error.what());
  } catch (...) {
    return keep(CT_INTERNAL, "an exception of unknown type");
  }
}

const at::Tensor &ref(ct_tensor handle) {
  TORCH_CHECK(handle.ctx != nullptr, "a tensor handle is null");
  return *static_cast<at::Tensor *>(handle.ctx);
}

std::optional<at::Tensor> optional(ct_tensor handle) {
  if (handle.ctx == nullptr) return std::nullopt;
  return ref(handle);
}

ct_tensor own(at::Tensor tensor) {
  auto *owned = new at::Tensor(std::move(tensor));
  live.fetch_add(1, std::memory_order_relaxed);
  return ct_tensor{owned};
}

std::vector<at::Tensor> list(const ct_tensor *handles, int64_t count) {
  TORCH_CHECK(count > 0 && handles != nullptr, "an empty list of tensors");
  std::vector<at::Tensor> tensors;
  tensors.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) tensors.push_back(ref(handles[i]));
  return tensors;
}

}  // namespace ct

const char *ct_last_error(void) { return last_error.c_str(); }

int64_t ct_live_tensors(void) { return live.load(std::memory_order_relaxed); }

void ct_tensor_free(ct_tensor tensor) {
  if (tensor.ctx == nullptr) return;
  delete static_cast<at::Tensor *>(tensor.ctx);
  live.fetch_sub(1, std::memory_order_relaxed);
}

ct_status ct_fail(const char *text) { return keep(CT_INVALID_ARGUMENT, text == nullptr ? "" : text); }
