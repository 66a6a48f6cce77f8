// Where the pixels of an affine resampling look in the input: see ck_warp_args in ckernels.h for the formula.
//
// Contraction to fused multiply-add is off: it would break the symmetry of the sums under which a
// rotation commutes bit for bit with quarter turns and flips.

// The index that a border rule reads for index i of n, or -1 for "zero".
CK_INLINE ptrdiff_t CK(border_index)(ptrdiff_t i, ptrdiff_t n, ck_border border) {
  // Clamped without asking whether it is inside: along the border of a turned image no branch is foreseen.
  if (border == CK_EDGE) return i < 0 ? 0 : i < n ? i : n - 1;
  if (i >= 0 && i < n) return i;
  if (border == CK_ZERO) return -1;
  const ptrdiff_t period = 2 * n;  // reflect about the pixels' edges: c b a | a b c | c b a
  ptrdiff_t q = i % period;
  if (q < 0) q += period;
  return q < n ? q : period - 1 - q;
}

// Where a few neighboring output pixels look in the input: integer pixels and fractions.
//
// Coordinates are displacements in units of 2^-16 pixel, so that they are symmetric about the center.
#define CK_RUN 16
#define CK_WARP_STRIP 32
#define CK_WARP_AHEAD 4  // rows

typedef int32_t CK(run_integer) __attribute__((vector_size(CK_RUN * 4), aligned(4)));
typedef float CK(run_float) __attribute__((vector_size(CK_RUN * 4), aligned(4)));

// In memory, not in vectors: one element of a vector in a register, asked for by a variable, costs a store of the whole.
typedef struct { int32_t x[CK_RUN], y[CK_RUN]; float fx[CK_RUN], fy[CK_RUN]; } CK(run);

// Half a run, in double.
typedef double CK(wide) __attribute__((vector_size(64), aligned(4)));
typedef int64_t CK(wide_integer) __attribute__((vector_size(64), aligned(4)));
typedef int32_t CK(half_integer) __attribute__((vector_size(32), aligned(4)));
typedef float CK(half) __attribute__((vector_size(32), aligned(4)));

#define CK_JOIN(v) __builtin_shufflevector(v[0], v[1], 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

// Coordinates of half a run along one axis, from displacements in pixels: integer parts and fractions. With `near` all of the axis
// is counted in 32 bits, which is the same by fewer instructions.
CK_INLINE void CK(locate_axis)(CK(wide) u, int64_t center, int nearest, const int near, CK(half_integer) *integer, CK(half) *fraction) {
#pragma clang fp contract(off)
  // The nearest integer, halves to even: adding 1.5 * 2^52 rounds in the last place.
  const CK(wide) limit = (CK(wide)){0} + 0x1p28, magic = (CK(wide)){0} + 0x1.8p52;
  // In units of 2^-17 so that the half-pixel center of an even size is an integer too.
  // Halves go away from the center, which is symmetric under turns and flips.
  if (near) {
    CK(half_integer) q = 2 * __builtin_convertvector((u * 65536 + magic) - magic, CK(half_integer)) + (int32_t)center;
    if (nearest) q += 65535 - (q > (int32_t)center);
    *integer = q >> 17;
    *fraction = __builtin_convertvector(q & 0x1ffff, CK(half)) * 0x1p-17f;
    return;
  }
  u = __builtin_elementwise_max(__builtin_elementwise_min(u, limit), -limit);  // farther away there is nothing either
  CK(wide_integer) q = 2 * ((CK(wide_integer))(u * 65536 + magic) - (CK(wide_integer))magic) + center;
  if (nearest) q += 65535 - (q > center);
  *integer = __builtin_convertvector(q >> 17, CK(half_integer));
  *fraction = __builtin_convertvector(__builtin_convertvector(q & 0x1ffff, CK(half_integer)), CK(half)) * 0x1p-17f;
}

// Whether all that is read and written lies within 2^13 pixels, so that coordinates in units of 2^-17 have 32 bits.
CK_INLINE int CK(is_near)(const ck_warp_args *w) {
  const double *m = w->m, right = (double)w->out_width / 2 + CK_RUN, down = (double)w->out_height / 2;
  return fabs(m[0]) * right + fabs(m[1]) * down + fabs(m[2]) + (double)w->width < 0x1p13 &&
         fabs(m[3]) * right + fabs(m[4]) * down + fabs(m[5]) + (double)w->height < 0x1p13;
}

CK_INLINE void CK(locate)(const ck_warp_args *w, size_t oy, size_t ox, const int near, CK(run) *run) {
#pragma clang fp contract(off)
  const double dy = (double)oy - ((double)w->out_height - 1) / 2;
  const double first = (double)ox - ((double)w->out_width - 1) / 2;
  const double *m = w->m;
  const double rx = m[1] * dy, ry = m[4] * dy;
  const int64_t cx = ((int64_t)w->width - 1) * 65536, cy = ((int64_t)w->height - 1) * 65536;
  const int nearest = w->interpolation == CK_NEAREST;
  CK(half_integer) x[2], y[2];
  CK(half) fx[2], fy[2];
  for (int e = 0; e < 2; e++) {
    const CK(wide) dx = (CK(wide)){0, 1, 2, 3, 4, 5, 6, 7} + (first + 8 * e);
    CK(locate_axis)((m[0] * dx + rx) + m[2], cx, nearest, near, &x[e], &fx[e]);
    CK(locate_axis)((m[3] * dx + ry) + m[5], cy, nearest, near, &y[e], &fy[e]);
  }
  // Written whole: a vector that is read soon after cannot be had from two stores that are still under way.
  *(CK(run_integer) *)run->x = CK_JOIN(x), *(CK(run_integer) *)run->y = CK_JOIN(y);
  *(CK(run_float) *)run->fx = CK_JOIN(fx), *(CK(run_float) *)run->fy = CK_JOIN(fy);
}

// The runs of a row of a strip.
CK_INLINE void CK(locate_strip)(const ck_warp_args *w, size_t oy, size_t strip, int near, CK(run) *runs) {
  for (size_t ox = strip; ox < strip + CK_WARP_STRIP && ox < w->out_width; ox += CK_RUN, runs++)
    if (near) CK(locate)(w, oy, ox, 1, runs);
    else CK(locate)(w, oy, ox, 0, runs);
}

// Whether all neighbors of a run's places lie in the image: those of its first and its last place do, since both coordinates only rise
// or only fall along a run.
CK_INLINE int CK(has_neighbors)(const ck_warp_args *w, const CK(run) *run) {
  const int32_t width = (int32_t)w->width - 1, height = (int32_t)w->height - 1, last = CK_RUN - 1;
  return run->x[0] >= 0 && run->x[0] < width && run->x[last] >= 0 && run->x[last] < width && run->y[0] >= 0 &&
         run->y[0] < height && run->y[last] >= 0 && run->y[last] < height;
}

// The four neighbors of a run's places: their offsets in the image, and 1, or 0 for what the border
// policy leaves out. In the order (y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1).
typedef struct { int32_t at[4][CK_RUN]; float counts[4][CK_RUN]; } CK(neighbors);

CK_INLINE void CK(find_neighbors)(const ck_warp_args *w, const CK(run) *run, CK(neighbors) *n) {
  typedef CK(run_integer) integer;
  const integer width = (integer){0} + (int32_t)w->width, height = (integer){0} + (int32_t)w->height;
  integer x[2], y[2];
  x[0] = *(const integer *)run->x, x[1] = x[0] + 1, y[0] = *(const integer *)run->y, y[1] = y[0] + 1;
  if (w->border == CK_REFLECT)
    for (int e = 0; e < 2; e++) {
      int32_t inside_x[CK_RUN], inside_y[CK_RUN];
      for (int k = 0; k < CK_RUN; k++) {
        inside_x[k] = (int32_t)CK(border_index)(run->x[k] + e, (ptrdiff_t)w->width, CK_REFLECT);
        inside_y[k] = (int32_t)CK(border_index)(run->y[k] + e, (ptrdiff_t)w->height, CK_REFLECT);
      }
      x[e] = *(const integer *)inside_x, y[e] = *(const integer *)inside_y;
    }
  const integer all = (integer){0} - (w->border != CK_ZERO);
  integer cx[2], cy[2], fits_x[2], fits_y[2];
  for (int e = 0; e < 2; e++) {
    cx[e] = __builtin_elementwise_max(__builtin_elementwise_min(x[e], width - 1), (integer){0});
    cy[e] = __builtin_elementwise_max(__builtin_elementwise_min(y[e], height - 1), (integer){0});
    fits_x[e] = cx[e] == x[e], fits_y[e] = cy[e] == y[e];
  }
  const CK(run_float) one = (CK(run_float)){0} + 1.0f;
  for (int e = 0; e < 4; e++) {
    *(integer *)n->at[e] = (cy[e / 2] * width + cx[e % 2]) * (int32_t)w->channels;
    *(CK(run_float) *)n->counts[e] = (CK(run_float))((all | (fits_x[e % 2] & fits_y[e / 2])) & (integer)one);
  }
}
