// The kernel bodies for the avx512 path.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"))), apply_to = function)
#define CK(name) name##_avx512
#define CK_VECTOR_BITS 512
#define CK_WIDTH 16  // floats in a vector
#define CK_ROWS 14    // rows of the register tile: CK_ROWS x 2 accumulators fit the registers
#include "bodies/all.h"
#pragma clang attribute pop
#endif
