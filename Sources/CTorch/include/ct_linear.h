#ifndef CT_LINEAR_H
#define CT_LINEAR_H

#include "ct_tensor.h"

/// x·Wᵀ + bias. weight is W [out, in], or Wᵀ [in, out] where `transposed`; bias [out], optional. All of one type.
CT_API ct_status ct_linear(ct_tensor x, ct_tensor weight, bool transposed, ct_tensor bias, ct_tensor *out);

/// x·Wᵀ + bias + scale·dropout(x)·aᵀ·bᵀ. a [r, in] and b [out, r], float32; their products are summed in float32.
CT_API ct_status ct_low_rank_linear(ct_tensor x, ct_tensor weight, bool transposed, ct_tensor bias, ct_tensor a, ct_tensor b,
                                    double scale, double dropout, ct_tensor *out);

#endif
