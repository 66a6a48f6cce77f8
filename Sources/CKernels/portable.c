// The kernel bodies for the portable path.
#define CK(name) name##_portable
#define CK_VECTOR_BITS 128
#define CK_WIDTH 4  // floats in a vector
#define CK_ROWS 4    // rows of the register tile: CK_ROWS x 2 accumulators fit the registers
#include "bodies/all.h"
