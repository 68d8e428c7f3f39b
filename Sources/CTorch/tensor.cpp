#include <cstring>
#include <memory>

#include "boundary.h"
#include "ct_rehearsal.h"
#include "ct_system.h"

namespace {
struct Pair {
  ct_dtype ours;
  at::ScalarType theirs;
};
constexpr Pair dtypes[] = {
    {CT_FLOAT32, at::kFloat}, {CT_FLOAT16, at::kHalf}, {CT_BFLOAT16, at::kBFloat16}, {CT_FLOAT64, at::kDouble},
    {CT_INT8, at::kChar},     {CT_UINT8, at::kByte},   {CT_INT16, at::kShort},       {CT_INT32, at::kInt},
    {CT_INT64, at::kLong},    {CT_BOOL, at::kBool},
};

/// Throws unless `byte_count` bytes hold exactly the elements of `shape`.
void check_size(int64_t byte_count, at::IntArrayRef shape, at::ScalarType dtype) {
  int64_t count = 1;
  for (int64_t size : shape) {
    TORCH_CHECK(size >= 0, "the shape ", shape, " has a negative size");
    TORCH_CHECK(!__builtin_mul_overflow(count, size, &count), "the shape ", shape, " is too large");
  }
  int64_t bytes = 0;
  TORCH_CHECK(!__builtin_mul_overflow(count, static_cast<int64_t>(c10::elementSize(dtype)), &bytes) && bytes == byte_count,
              "a ", dtype, " tensor of shape ", shape, " does not fill ", byte_count, " bytes");
}
}  // namespace

at::ScalarType ct::scalar_type(ct_dtype dtype) {
  for (const Pair &pair : dtypes)
    if (pair.ours == dtype) return pair.theirs;
  TORCH_CHECK(false, "unknown element type ", static_cast<int>(dtype));
}

at::Device ct::device(ct_device device) {
  if (device.kind == CT_CPU) return at::Device(at::kCPU);
  if (device.kind == CT_META) return at::Device(at::kMeta);
  TORCH_CHECK(device.kind == CT_CUDA, "unknown device kind ", static_cast<int>(device.kind));
  const int32_t count = ct_cuda_device_count();
  TORCH_CHECK(device.index >= 0 && device.index < count, "there is no GPU ", device.index, ": this libtorch sees ", count);
  return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device.index));
}

ct_status ct_tensor_copy(const void *bytes, int64_t byte_count, const int64_t *shape, int64_t rank, ct_dtype dtype,
                         ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto type = ct::scalar_type(dtype);
    check_size(byte_count, ct::sizes(shape, rank), type);
    TORCH_CHECK(bytes != nullptr || byte_count == 0, "the bytes are null");
    auto tensor = at::empty(ct::sizes(shape, rank), type);
    if (byte_count > 0) std::memcpy(tensor.data_ptr(), bytes, static_cast<size_t>(byte_count));
    return tensor;
  });
}

ct_status ct_tensor_map(void *bytes, int64_t byte_count, const int64_t *shape, int64_t rank, ct_dtype dtype, void *owner,
                        void (*release)(void *owner), ct_tensor *out) {
  return ct::answer(out, [&] {
    const auto type = ct::scalar_type(dtype);
    check_size(byte_count, ct::sizes(shape, rank), type);
    TORCH_CHECK(bytes != nullptr || byte_count == 0, "the bytes are null");
    TORCH_CHECK(reinterpret_cast<uintptr_t>(bytes) % c10::elementSize(type) == 0, "memory at ", bytes,
                " is not aligned for elements of ", c10::elementSize(type), " bytes");
    TORCH_CHECK(release != nullptr, "the function that releases the owner is null");
    // The owner is ours only once the handle exists: a failure on the way must not release it.
    auto taken = std::make_shared<bool>(false);
    auto tensor = at::from_blob(bytes, ct::sizes(shape, rank),
                                [owner, release, taken](void *) {
                                  if (*taken) release(owner);
                                },
                                at::TensorOptions().dtype(type));
    const ct_tensor mapped = ct::own(std::move(tensor));
    *taken = true;
    return mapped;
  });
}

ct_status ct_empty(const int64_t *shape, int64_t rank, ct_dtype dtype, ct_device device, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto place = ct_shapes_only() && device.kind == CT_CPU ? at::Device(at::kMeta) : ct::device(device);
    return at::empty(ct::sizes(shape, rank), at::TensorOptions().dtype(ct::scalar_type(dtype)).device(place));
  });
}

ct_status ct_full(const int64_t *shape, int64_t rank, double value, ct_dtype dtype, ct_device device, ct_tensor *out) {
  return ct::produce(out, [&] {
    return at::full(ct::sizes(shape, rank), value,
                    at::TensorOptions().dtype(ct::scalar_type(dtype)).device(ct::device(device)));
  });
}

ct_status ct_arange(double start, double end, double step, ct_dtype dtype, ct_device device, ct_tensor *out) {
  return ct::produce(out, [&] {
    return at::arange(start, end, step, at::TensorOptions().dtype(ct::scalar_type(dtype)).device(ct::device(device)));
  });
}

ct_status ct_shape(ct_tensor tensor, const int64_t **sizes, int64_t *rank) {
  return ct::guarded([&] {
    ct::check_out(sizes);
    ct::check_out(rank);
    const auto shape = ct::ref(tensor).sizes();
    *sizes = shape.data();
    *rank = static_cast<int64_t>(shape.size());
  });
}

ct_status ct_count(ct_tensor tensor, int64_t *out) {
  return ct::answer(out, [&] { return ct::ref(tensor).numel(); });
}

ct_status ct_dtype_of(ct_tensor tensor, ct_dtype *out) {
  return ct::answer(out, [&] {
    const auto type = ct::ref(tensor).scalar_type();
    for (const Pair &pair : dtypes)
      if (pair.theirs == type) return pair.ours;
    C10_THROW_ERROR(NotImplementedError, c10::str("the element type ", type, " has no name here"));
  });
}

ct_status ct_device_of(ct_tensor tensor, ct_device *out) {
  return ct::answer(out, [&] {
    const auto device = ct::ref(tensor).device();
    TORCH_CHECK_NOT_IMPLEMENTED(device.is_cpu() || device.is_cuda() || device.is_meta(), "the device ", device, " has no name here");
    return ct_device{device.is_cpu() ? CT_CPU : device.is_meta() ? CT_META : CT_CUDA, device.is_cuda() ? device.index() : 0};
  });
}

ct_status ct_is_contiguous(ct_tensor tensor, bool *out) {
  return ct::answer(out, [&] { return ct::ref(tensor).is_contiguous(); });
}

ct_status ct_data(ct_tensor tensor, void **out) {
  return ct::answer(out, [&] { return ct::ref(tensor).data_ptr(); });
}

ct_status ct_item(ct_tensor tensor, double *out) {
  return ct::answer(out, [&] {
    const auto &t = ct::ref(tensor);
    TORCH_CHECK(t.numel() == 1, "a tensor of shape ", t.sizes(), " is not one number");
    return t.is_meta() ? 0 : t.item().toDouble();
  });
}

ct_status ct_storage_id(ct_tensor tensor, uint64_t *out) {
  return ct::answer(out, [&] { return reinterpret_cast<uint64_t>(ct::ref(tensor).storage().unsafeGetStorageImpl()); });
}

ct_status ct_to_dtype(ct_tensor tensor, ct_dtype dtype, ct_tensor *out) {
  return ct::produce(out, [&] { return ct::ref(tensor).to(ct::scalar_type(dtype)); });
}

ct_status ct_to_device(ct_tensor tensor, ct_device device, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto &given = ct::ref(tensor);
    const auto place = ct::device(device);
    return given.is_meta() && !place.is_meta() ? at::zeros(given.sizes(), given.options().device(place)) : given.to(place);
  });
}

ct_status ct_contiguous(ct_tensor tensor, ct_tensor *out) {
  return ct::produce(out, [&] { return ct::ref(tensor).contiguous(); });
}

ct_status ct_clone(ct_tensor tensor, ct_tensor *out) {
  return ct::produce(out, [&] { return ct::ref(tensor).clone(); });
}
