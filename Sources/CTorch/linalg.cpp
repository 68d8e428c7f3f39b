#include "ct_linalg.h"

#include "boundary.h"

ct_status ct_svd(ct_tensor a, ct_tensor *u, ct_tensor *s, ct_tensor *vh) {
  return ct::guarded([&] {
    ct::check_out(u);
    ct::check_out(s);
    ct::check_out(vh);
    const at::Tensor &matrix = ct::ref(a);
    TORCH_CHECK(matrix.dim() == 2, "a decomposition of a tensor with ", matrix.dim(), " dimensions, and it is of a matrix");
    auto [left, values, right] = at::linalg_svd(matrix, /*full_matrices=*/false);
    ct_tensor owned[3] = {};
    at::Tensor *parts[3] = {&left, &values, &right};
    int made = 0;
    try {
      for (; made < 3; made++) owned[made] = ct::own(std::move(*parts[made]));
    } catch (...) {
      for (int i = 0; i < made; i++) ct_tensor_free(owned[i]);
      throw;
    }
    *u = owned[0];
    *s = owned[1];
    *vh = owned[2];
  });
}
