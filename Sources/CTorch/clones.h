// Loops compiled for several instruction sets; the processor decides at load time.
#pragma once

#if defined(__x86_64__) && defined(__linux__)
#define CT_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CT_CLONES
#endif
