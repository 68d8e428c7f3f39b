#include "dropout.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "parallel.h"
#include "rows.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t elements_per_task = 1 << 14;

struct CountedDropout : torch::autograd::Function<CountedDropout> {
  static at::Tensor forward(AutogradContext *ctx, const at::Tensor &x, double share) {
    const auto dropout = ct::draw_dropout(share);
    ctx->saved_data["share"] = dropout.share;
    ctx->saved_data["key"] = static_cast<int64_t>(dropout.key);
    return ct::dropped(x, dropout);
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const ct::Dropout dropout{static_cast<uint64_t>(ctx->saved_data["key"].toInt()), ctx->saved_data["share"].toDouble()};
    return {ct::dropped(grads[0].contiguous(), dropout), at::Tensor()};
  }
};

}  // namespace

at::Tensor ct::dropped(const at::Tensor &x, const Dropout &dropout) {
  if (!dropout.active() || x.numel() == 0) return x;
  auto out = at::empty_like(x);
  const int64_t width = x.dim() == 0 ? 1 : x.size(-1);
  const bool wide = x.scalar_type() == at::kFloat;
  const void *in = x.data_ptr();
  void *result = out.data_ptr();
  parallel_for(x.numel() / width, std::max<int64_t>(1, elements_per_task / width), [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(width));
    for (int64_t i = begin; i < end; ++i) {
      const auto place = static_cast<uint64_t>(i);
      if (wide) {
        rows::drop(static_cast<const float *>(in) + i * width, static_cast<float *>(result) + i * width, dropout, place, 0, width);
      } else {
        rows::widen(static_cast<const uint16_t *>(in) + i * width, row.data(), width);
        rows::drop(row.data(), row.data(), dropout, place, 0, width);
        rows::narrow(row.data(), static_cast<uint16_t *>(result) + i * width, width);
      }
    }
  });
  return out;
}

at::Tensor ct::counted_dropout(const at::Tensor &x, double share) { return CountedDropout::apply(x.contiguous(), share); }
