// Included once per instruction set, with CK, CK_WIDTH and CK_ROWS defined.
#include "../include/ckernels.h"
#include <math.h>
#include <string.h>

// Without this, clang may split 512-bit vectors in two.
#define CK_BODY __attribute__((min_vector_width(CK_VECTOR_BITS)))
#define CK_INLINE static inline __attribute__((always_inline))

typedef float CK(vec) __attribute__((vector_size(CK_WIDTH * 4), aligned(4)));
typedef int32_t CK(ivec) __attribute__((vector_size(CK_WIDTH * 4), aligned(4)));

// Clamped at zero; a number that is none stays none, as in the plain rectifier.
CK_INLINE CK(vec) CK(rectified)(CK(vec) y) {
  return (CK(vec))(~(CK(ivec))(y <= (CK(vec)){0}) & (CK(ivec))y);
}

// The first `count` floats of a vector; the memory behind them stays.
CK_INLINE void CK(store_vector)(float *p, CK(vec) value, size_t count) {
  if (count >= CK_WIDTH) *(CK(vec) *)p = value;
  else for (size_t j = 0; j < count; j++) p[j] = value[j];
}

#include "depthwise.h"
#include "elementwise.h"
#include "gather_product.h"
#include "normalization.h"
#include "optimizer.h"
#include "random.h"
#include "pool.h"
#include "reduce.h"
#include "roof.h"
#include "scatter.h"
#include "warp.h"
#include "winograd.h"
