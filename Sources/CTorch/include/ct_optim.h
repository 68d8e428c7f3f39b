#ifndef CT_OPTIM_H
#define CT_OPTIM_H

#include "ct_tensor.h"

/// One AdamW step in place (Loshchilov & Hutter, arXiv:1711.05101): p −= lr·wd·p; then
/// p −= lr/(1 − β₁ᵗ)·m / (√v/√(1 − β₂ᵗ) + eps). All four tensors float32, of one shape; `step` counts from 1.
CT_API ct_status ct_adamw(ct_tensor param, ct_tensor grad, ct_tensor m, ct_tensor v, double lr, double beta1, double beta2,
                          double eps, double weight_decay, int64_t step);

#endif
