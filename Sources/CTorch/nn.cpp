#include "ct_nn.h"

#include <vector>

#include "boundary.h"
#include "dropout.h"
#include "fused.h"
#include "norms.h"

namespace {

/// The numbers of a norm of `x`, checked.
ct::Norm norm(const at::Tensor &x, ct_tensor weight, const std::optional<at::Tensor> &bias, double eps) {
  const auto &gain = ct::ref(weight);
  TORCH_CHECK(gain.dim() == 1 && x.dim() > 0 && x.size(-1) == gain.size(0), "a norm over ", x.sizes(), " with a weight of ",
              gain.sizes());
  if (bias) TORCH_CHECK(bias->sizes() == gain.sizes(), "a norm with a weight of ", gain.sizes(), " and a bias of ", bias->sizes());
  return {gain, bias, eps};
}

}  // namespace

ct_status ct_embedding(ct_tensor weight, ct_tensor indices, ct_tensor *out) {
  return ct::produce(out, [&] { return at::embedding(ct::ref(weight), ct::ref(indices)); });
}

ct_status ct_layer_norm(ct_tensor x, ct_tensor weight, ct_tensor bias, double eps, ct_tensor *out) {
  return ct::produce(out, [&] { return ct::normed(ct::ref(x), std::nullopt, norm(ct::ref(x), weight, ct::ref(bias), eps)).out; });
}

ct_status ct_rms_norm(ct_tensor x, ct_tensor weight, double eps, ct_tensor *out) {
  return ct::produce(out, [&] { return ct::normed(ct::ref(x), std::nullopt, norm(ct::ref(x), weight, std::nullopt, eps)).out; });
}

ct_status ct_add_and_norm(ct_tensor x, ct_tensor delta, ct_tensor weight, ct_tensor bias, double eps, ct_tensor *sum,
                          ct_tensor *out) {
  return ct::produce_pair(sum, out, [&] {
    const auto &input = ct::ref(x), &added = ct::ref(delta);
    TORCH_CHECK(input.sizes() == added.sizes(), "the sum of ", input.sizes(), " and ", added.sizes());
    auto result = ct::normed(input, added, norm(input, weight, ct::optional(bias), eps));
    return std::make_pair(std::move(result.sum), std::move(result.out));
  });
}

ct_status ct_dropout(ct_tensor x, double p, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto &input = ct::ref(x);
    TORCH_CHECK(p >= 0 && p <= 1, "a dropout of ", p);
    return p < 1 && ct::fusable({input}) ? ct::counted_dropout(input, p) : at::dropout(input, p, /*train=*/true);
  });
}

ct_status ct_rotary(ct_tensor x, ct_tensor cos, ct_tensor sin, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto &input = ct::ref(x), &c = ct::ref(cos), &s = ct::ref(sin);
    TORCH_CHECK(input.dim() == 4 && c.dim() == 3 && c.sizes() == s.sizes() && c.size(0) == input.size(0) &&
                    c.size(1) == input.size(1) && 2 * c.size(2) <= input.size(3),
                "rotary angles of ", c.sizes(), " do not fit heads of ", input.sizes());
    TORCH_CHECK(c.scalar_type() == at::kFloat && s.scalar_type() == at::kFloat, "rotary angles are float32");
    TORCH_CHECK(c.device() == input.device() && s.device() == input.device(), "rotary angles are on another device");
    return ct::fusable({input}) ? ct::fused_rotary(input, c, s) : ct::composed_rotary(input, c, s);
  });
}

ct_status ct_swiglu(ct_tensor gate, ct_tensor up, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto &g = ct::ref(gate), &u = ct::ref(up);
    TORCH_CHECK(g.sizes() == u.sizes(), "swiglu over ", g.sizes(), " and ", u.sizes());
    return ct::fusable({g, u}) ? ct::fused_swiglu(g, u) : at::silu(g) * u;
  });
}

ct_status ct_bidirectional_lstm(ct_tensor x, const ct_tensor *weights, int64_t count, int64_t layers, double dropout,
                                ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto &input = ct::ref(x);
    const auto parts = ct::list(weights, count);
    TORCH_CHECK(input.dim() == 2 && layers > 0 && layers <= 64 && count == 8 * layers, "an LSTM of ", layers, " layers with ",
                count, " weights over ", input.sizes());
    TORCH_CHECK(dropout >= 0 && dropout < 1, "a dropout of ", dropout);
    TORCH_CHECK(parts[1].dim() == 2, "state weights of an LSTM of ", parts[1].sizes());
    const int64_t size = parts[1].size(1);
    for (int64_t place = 0; place < count; ++place) {
      const int64_t features = place < 8 ? input.size(1) : 2 * size;
      const std::vector<int64_t> shapes[] = {{4 * size, features}, {4 * size, size}, {4 * size}, {4 * size}};
      const at::IntArrayRef shape(shapes[place % 4]);
      TORCH_CHECK(parts[place].sizes() == shape, "weight ", place, " of an LSTM is ", parts[place].sizes(), " in place of ", shape);
    }
    const auto start = at::zeros({2 * layers, 1, size}, input.options());
    const auto states = at::lstm(input.unsqueeze(0), {start, start}, parts, /*has_biases=*/true, layers, dropout,
                                 /*train=*/dropout > 0, /*bidirectional=*/true, /*batch_first=*/true);
    return std::get<0>(states).squeeze(0);
  });
}
