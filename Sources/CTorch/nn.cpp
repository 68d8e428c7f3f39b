#include "ct_nn.h"

#include "boundary.h"
#include "fused.h"

ct_status ct_embedding(ct_tensor weight, ct_tensor indices, ct_tensor *out) {
  return ct::produce(out, [&] { return at::embedding(ct::ref(weight), ct::ref(indices)); });
}

ct_status ct_layer_norm(ct_tensor x, ct_tensor weight, ct_tensor bias, double eps, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto &input = ct::ref(x), &w = ct::ref(weight);
    return at::layer_norm(input, w.sizes(), w, ct::ref(bias), eps);
  });
}

ct_status ct_rms_norm(ct_tensor x, ct_tensor weight, double eps, ct_tensor *out) {
  return ct::produce(out, [&] {
    const auto &input = ct::ref(x), &w = ct::ref(weight);
    TORCH_CHECK(w.dim() == 1 && input.dim() > 0 && input.size(-1) == w.size(0), "rms_norm over ", input.sizes(),
                " with a weight of ", w.sizes());
    return ct::fusable({input, w}) ? ct::fused_rms_norm(input, w, eps) : ct::composed_rms_norm(input, w, eps);
  });
}

ct_status ct_dropout(ct_tensor x, double p, ct_tensor *out) {
  return ct::produce(out, [&] { return at::dropout(ct::ref(x), p, /*train=*/true); });
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
