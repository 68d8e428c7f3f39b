#ifndef CT_RANDOM_H
#define CT_RANDOM_H

#include "ct_tensor.h"

/// Seeds libtorch's generators on every device.
CT_API ct_status ct_manual_seed(uint64_t seed);
/// The state of a device's generator as a uint8 tensor.
CT_API ct_status ct_random_state(ct_device device, ct_tensor *out);
CT_API ct_status ct_set_random_state(ct_device device, ct_tensor state);
/// In place, from the default generator of the tensor's device.
CT_API ct_status ct_normal_into(ct_tensor a, double mean, double std);
CT_API ct_status ct_uniform_into(ct_tensor a, double low, double high);

#endif
