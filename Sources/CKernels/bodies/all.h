// Included once per instruction set, with CK, CK_WIDTH and CK_ROWS defined.
#include "../include/ckernels.h"
#include <math.h>
#include <string.h>

// Without this, clang may split 512-bit vectors in two.
#define CK_BODY __attribute__((min_vector_width(CK_VECTOR_BITS)))
// Columns of a panel: see ck_panel.
#define CK_PANEL (2 * CK_WIDTH)
#define CK_INLINE static inline __attribute__((always_inline))

// Keeps the compiler from hoisting all of a tile's broadcasts before the first product, which would spill the accumulators:
// measured, 120 -> 220 GFLOP/s a core with AVX-512.
#undef CK_IN_ORDER
#if defined(__x86_64__)
#define CK_IN_ORDER(v) __asm__ volatile("" : "+v"(v) : : "memory")
#else
#define CK_IN_ORDER(v)
#endif

typedef float CK(vec) __attribute__((vector_size(CK_WIDTH * 4), aligned(4)));
typedef int32_t CK(ivec) __attribute__((vector_size(CK_WIDTH * 4), aligned(4)));

// Clamped at zero; a number that is none stays none, as in the plain rectifier.
CK_INLINE CK(vec) CK(rectified)(CK(vec) y) {
  return (CK(vec))(~(CK(ivec))(y <= (CK(vec)){0}) & (CK(ivec))y);
}

// The first `count` floats of a vector, all of one at most; zeros behind them.
CK_INLINE CK(vec) CK(load_vector)(const float *p, size_t count) {
  if (count >= CK_WIDTH) return *(const CK(vec) *)p;
#if CK_WIDTH == 16
  return __builtin_ia32_loadups512_mask(p, (CK(vec)){0}, (uint16_t)((1u << count) - 1));
#else
  float part[CK_WIDTH] = {0};
  for (size_t j = 0; j < count; j++) part[j] = p[j];
  return *(const CK(vec) *)part;
#endif
}

// The first `count` floats of a vector; the memory behind them stays.
CK_INLINE void CK(store_vector)(float *p, CK(vec) value, size_t count) {
  if (count >= CK_WIDTH) {
    *(CK(vec) *)p = value;
    return;
  }
#if CK_WIDTH == 16
  __builtin_ia32_storeups512_mask(p, value, (uint16_t)((1u << count) - 1));
#else
  // By way of memory: one element of a vector, asked for by a variable, costs a store of the whole.
  float part[CK_WIDTH];
  *(CK(vec) *)part = value;
  for (size_t j = 0; j < count; j++) p[j] = part[j];
#endif
}

#include "depthwise.h"
#include "functions.h"
#include "elementwise.h"
#include "gather_product.h"
#include "mix.h"
#include "normalization.h"
#include "opposites.h"
#include "optimizer.h"
#include "random.h"
#include "pool.h"
#include "reduce.h"
#include "roof.h"
#include "scatter.h"
#include "warp_places.h"
#include "warp_backdrop.h"
#include "warp_bicubic.h"
#include "warp.h"
#include "winograd.h"
