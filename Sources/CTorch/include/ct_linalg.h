#ifndef CT_LINALG_H
#define CT_LINALG_H

#include "ct_tensor.h"

/// Decompositions of matrices.

/// The reduced singular value decomposition of a [m, n] of float32 or float64: u [m, k], s [k] from the largest down, vh [k, n],
/// k = min(m, n), a = u·diag(s)·vh. A singular vector is known up to its sign.
///
/// The three outputs are the caller's to free. On failure, as for an element that is not finite, they are left untouched.
CT_API ct_status ct_svd(ct_tensor a, ct_tensor *u, ct_tensor *s, ct_tensor *vh);

#endif
