// Affine resampling: see ck_warp_args in ckernels.h for the formula.
//
// Contraction to fused multiply-add is off: it would break the symmetry of the sums under which a
// rotation commutes bit for bit with quarter turns and flips.

// The index that a border rule reads for index i of n, or -1 for "zero".
CK_INLINE ptrdiff_t CK(border_index)(ptrdiff_t i, ptrdiff_t n, ck_border border) {
  if (i >= 0 && i < n) return i;
  if (border == CK_ZERO) return -1;
  if (border == CK_EDGE) return i < 0 ? 0 : n - 1;
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

typedef int32_t CK(run_integer) __attribute__((vector_size(CK_RUN * 4), aligned(4)));
typedef float CK(run_float) __attribute__((vector_size(CK_RUN * 4), aligned(4)));
typedef struct { CK(run_integer) x, y; CK(run_float) fx, fy; } CK(run);

// Half a run, in double.
typedef double CK(wide) __attribute__((vector_size(64), aligned(4)));
typedef int64_t CK(wide_integer) __attribute__((vector_size(64), aligned(4)));
typedef int32_t CK(half_integer) __attribute__((vector_size(32), aligned(4)));
typedef float CK(half) __attribute__((vector_size(32), aligned(4)));

// Coordinates of half a run along one axis, from displacements in pixels: integer parts and fractions.
CK_INLINE void CK(locate_axis)(CK(wide) u, int64_t center, int nearest, int32_t *integer, float *fraction) {
#pragma clang fp contract(off)
  const CK(wide) limit = (CK(wide)){0} + 0x1p28, magic = (CK(wide)){0} + 0x1.8p52;
  u = __builtin_elementwise_max(__builtin_elementwise_min(u, limit), -limit);  // farther away there is nothing either
  // The nearest integer, halves to even: adding 1.5 * 2^52 rounds in the last place.
  const CK(wide_integer) rounded = (CK(wide_integer))(u * 65536 + magic) - (CK(wide_integer))magic;
  // In units of 2^-17 so that the half-pixel center of an even size is an integer too.
  CK(wide_integer) q = 2 * rounded + center;
  // Halves go away from the center, which is symmetric under turns and flips.
  if (nearest) q += 65535 - (q > center);
  *(CK(half_integer) *)integer = __builtin_convertvector(q >> 17, CK(half_integer));
  *(CK(half) *)fraction = __builtin_convertvector(__builtin_convertvector(q & 0x1ffff, CK(half_integer)), CK(half)) * 0x1p-17f;
}

CK_INLINE void CK(locate)(const ck_warp_args *w, size_t oy, size_t ox, CK(run) *run) {
#pragma clang fp contract(off)
  const double dy = (double)oy - ((double)w->out_height - 1) / 2;
  const double first = (double)ox - ((double)w->out_width - 1) / 2;
  const double *m = w->m;
  const double rx = m[1] * dy, ry = m[4] * dy;
  const int64_t cx = ((int64_t)w->width - 1) * 65536, cy = ((int64_t)w->height - 1) * 65536;
  const int nearest = w->interpolation == CK_NEAREST;
  for (int k = 0; k < CK_RUN; k += 8) {
    const CK(wide) dx = (CK(wide)){0, 1, 2, 3, 4, 5, 6, 7} + (first + k);
    CK(locate_axis)((m[0] * dx + rx) + m[2], cx, nearest, (int32_t *)&run->x + k, (float *)&run->fx + k);
    CK(locate_axis)((m[3] * dx + ry) + m[5], cy, nearest, (int32_t *)&run->y + k, (float *)&run->fy + k);
  }
}

// The four neighbors of a run's places: their offsets in the image, and 1, or 0 for what the border
// policy leaves out. In the order (y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1).
typedef struct { CK(run_integer) at[4]; CK(run_float) counts[4]; } CK(neighbors);

CK_INLINE void CK(find_neighbors)(const ck_warp_args *w, const CK(run) *run, CK(neighbors) *n) {
  typedef CK(run_integer) integer;
  const integer width = (integer){0} + (int32_t)w->width, height = (integer){0} + (int32_t)w->height;
  integer x[2] = {run->x, run->x + 1}, y[2] = {run->y, run->y + 1};
  if (w->border == CK_REFLECT)
    for (int e = 0; e < 2; e++)
      for (int k = 0; k < CK_RUN; k++) {
        x[e][k] = (int32_t)CK(border_index)(x[e][k], (ptrdiff_t)w->width, CK_REFLECT);
        y[e][k] = (int32_t)CK(border_index)(y[e][k], (ptrdiff_t)w->height, CK_REFLECT);
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
    n->at[e] = (cy[e / 2] * width + cx[e % 2]) * (int32_t)w->channels;
    n->counts[e] = (CK(run_float))((all | (fits_x[e % 2] & fits_y[e / 2])) & (integer)one);
  }
}

// Keys' cubic convolution kernel with a = -1/2, at distances 1+f, f, 1-f, 2-f (Keys 1981).
CK_INLINE void CK(cubic_weights)(float f, float weights[4]) {
#pragma clang fp contract(off)
  const float g = 1 - f;
  weights[0] = -0.5f * f * (g * g);
  weights[1] = 1 - 2.5f * (f * f) + 1.5f * (f * f * f);
  weights[2] = 1 - 2.5f * (g * g) + 1.5f * (g * g * g);
  weights[3] = -0.5f * g * (f * f);
}

typedef float CK(four) __attribute__((vector_size(16), aligned(4)));

// Rows as columns, and columns as rows.
CK_INLINE void CK(transpose_fours)(CK(four) v[4]) {
  const CK(four) a = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5), b = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5);
  const CK(four) c = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7), d = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
  v[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5), v[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
  v[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5), v[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}

// The same for each pixel of a run, at once.
CK_INLINE void CK(cubic_run)(CK(run_float) f, CK(four) weights[CK_RUN]) {
#pragma clang fp contract(off)
  const CK(run_float) g = 1 - f;
  const CK(run_float) w[4] = {-0.5f * f * (g * g), 1 - 2.5f * (f * f) + 1.5f * (f * f * f),
                              1 - 2.5f * (g * g) + 1.5f * (g * g * g), -0.5f * g * (f * f)};
  for (int k = 0; k < CK_RUN; k += 4) {
    for (int e = 0; e < 4; e++) weights[k + e] = *(const CK(four) *)((const float *)&w[e] + k);
    CK(transpose_fours)(weights + k);
  }
}

// The values of a run of one channel whose pixels' neighbors all lie inside. The same sums as of one pixel below.
CK_INLINE void CK(warp_bicubic_run)(const ck_warp_args *w, const float *x, const CK(run) *run, const CK(four) wx[CK_RUN],
                                    const CK(four) wy[CK_RUN], float *y) {
#pragma clang fp contract(off)
  for (int k = 0; k < CK_RUN; k += 4) {
    CK(four) outer[4], inner[4];
    for (int e = 0; e < 4; e++) {
      const float *from = x + (ptrdiff_t)(run->y[k + e] - 1) * (ptrdiff_t)w->width + (run->x[k + e] - 1);
      CK(four) v[4];
      for (size_t i = 0; i < 4; i++) v[i] = *(const CK(four) *)(from + i * w->width) * (wx[k + e] * wy[k + e][i]);
      // Row 3 backwards beside row 0, row 2 backwards beside row 1: opposite members, added.
      outer[e] = v[0] + __builtin_shufflevector(v[3], v[3], 3, 2, 1, 0);
      inner[e] = v[1] + __builtin_shufflevector(v[2], v[2], 3, 2, 1, 0);
    }
    CK(transpose_fours)(outer);
    CK(transpose_fours)(inner);
    *(CK(four) *)(y + k) = ((outer[0] + outer[3]) + (inner[1] + inner[2])) + ((outer[1] + inner[3]) + (outer[2] + inner[0]));
  }
}

// The value of a pixel of 3 or 4 channels whose sixteen neighbors, from `x` on, all lie inside: in vectors of the channels.
CK_INLINE void CK(warp_bicubic_inside)(const ck_warp_args *w, const float *x, CK(four) wx, CK(four) wy, float *y) {
#pragma clang fp contract(off)
  const size_t channels = w->channels, row = w->width * channels;
  CK(four) v[4][4];
  for (int i = 0; i < 4; i++) {
    const CK(four) weights = wx * wy[i];
    for (int j = 0; j < 4; j++) {
      const float *p = x + (size_t)i * row + (size_t)j * channels;
      CK(four) value;
      // The last neighbor of three channels may be the last of the image.
      if (channels == 3 && i == 3 && j == 3) value = (CK(four)){p[0], p[1], p[2], 0};
      else value = *(const CK(four) *)p;
      v[i][j] = value * weights[j];
    }
  }
  const CK(four) corners = (v[0][0] + v[3][3]) + (v[0][3] + v[3][0]);
  const CK(four) center = (v[1][1] + v[2][2]) + (v[1][2] + v[2][1]);
  const CK(four) side = ((v[0][1] + v[3][2]) + (v[1][3] + v[2][0])) + ((v[0][2] + v[3][1]) + (v[1][0] + v[2][3]));
  const CK(four) sum = (corners + center) + side;
  for (size_t c = 0; c < channels; c++) y[c] = sum[c];
}

// Whether the sixteen neighbors of a place all lie inside.
CK_INLINE int CK(is_inside)(const ck_warp_args *w, const CK(run) *run, size_t k) {
  const int64_t left = run->x[k] - 1, top = run->y[k] - 1;
  return left >= 0 && top >= 0 && left + 4 <= (int64_t)w->width && top + 4 <= (int64_t)w->height;
}

// The first `count` bicubic values of a run.
CK_INLINE void CK(warp_bicubic)(const ck_warp_args *w, const float *x, const CK(run) *run, size_t count, float *y) {
#pragma clang fp contract(off)
  const size_t channels = w->channels;
  CK(four) wx[CK_RUN], wy[CK_RUN];
  CK(cubic_run)(run->fx, wx);
  CK(cubic_run)(run->fy, wy);
  // What lies between two places inside lies inside.
  if (channels == 1 && count == CK_RUN && CK(is_inside)(w, run, 0) && CK(is_inside)(w, run, CK_RUN - 1)) {
    CK(warp_bicubic_run)(w, x, run, wx, wy, y);
    return;
  }
  for (size_t k = 0; k < count; k++, y += channels) {
    if ((channels == 3 || channels == 4) && CK(is_inside)(w, run, k)) {
      const ptrdiff_t place = (ptrdiff_t)(run->y[k] - 1) * (ptrdiff_t)w->width + (run->x[k] - 1);
      CK(warp_bicubic_inside)(w, x + place * (ptrdiff_t)channels, wx[k], wy[k], y);
      continue;
    }
    ptrdiff_t iy[4], ix[4];
    for (int i = 0; i < 4; i++) {
      iy[i] = CK(border_index)(run->y[k] - 1 + i, (ptrdiff_t)w->height, w->border);
      ix[i] = CK(border_index)(run->x[k] - 1 + i, (ptrdiff_t)w->width, w->border);
    }
    for (size_t c = 0; c < channels; c++) {
      float v[4][4];
      for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
          v[i][j] = iy[i] < 0 || ix[j] < 0 ? 0 : x[((size_t)iy[i] * w->width + (size_t)ix[j]) * channels + c] * (wy[k][i] * wx[k][j]);
      // Sums over the orbits of the quarter turn on the 4 x 4 stencil, opposite members first.
      const float corners = (v[0][0] + v[3][3]) + (v[0][3] + v[3][0]);
      const float center = (v[1][1] + v[2][2]) + (v[1][2] + v[2][1]);
      const float side = ((v[0][1] + v[3][2]) + (v[1][3] + v[2][0])) + ((v[0][2] + v[3][1]) + (v[1][0] + v[2][3]));
      y[c] = (corners + center) + side;
    }
  }
}

CK_INLINE void CK(warp_nearest)(const ck_warp_args *w, const float *x, const CK(run) *run, size_t k, float *y) {
  const ptrdiff_t iy = CK(border_index)(run->y[k], (ptrdiff_t)w->height, w->border);
  const ptrdiff_t ix = CK(border_index)(run->x[k], (ptrdiff_t)w->width, w->border);
  for (size_t c = 0; c < w->channels; c++)
    y[c] = iy < 0 || ix < 0 ? 0 : x[((size_t)iy * w->width + (size_t)ix) * w->channels + c];
}

// The first `count` bilinear values of a run.
CK_INLINE void CK(warp_run)(const ck_warp_args *w, const float *x, const CK(run) *run, size_t count, float *y) {
#pragma clang fp contract(off)
  typedef float four __attribute__((vector_size(16), aligned(4)));
  const size_t channels = w->channels;
  CK(neighbors) n;
  CK(find_neighbors)(w, run, &n);
  const CK(run_float) fx = run->fx, fy = run->fy, gx = 1 - fx, gy = 1 - fy;
  const CK(run_float) weight[4] = {gy * gx * n.counts[0], gy * fx * n.counts[1], fy * gx * n.counts[2],
                                   fy * fx * n.counts[3]};
  if (channels == 1) {
    float value[CK_RUN];
    for (int k = 0; k < CK_RUN; k++)
      value[k] = (x[n.at[0][k]] * weight[0][k] + x[n.at[3][k]] * weight[3][k]) +
                 (x[n.at[1][k]] * weight[1][k] + x[n.at[2][k]] * weight[2][k]);
    memcpy(y, value, count * sizeof *y);
    return;
  }
  for (size_t k = 0; k < count; k++, y += channels) {
    const float w0 = weight[0][k], w1 = weight[1][k], w2 = weight[2][k], w3 = weight[3][k];
    const float *p0 = x + n.at[0][k], *p1 = x + n.at[1][k], *p2 = x + n.at[2][k], *p3 = x + n.at[3][k];
    // Four floats at once; what a store writes too much, the next pixel's overwrites.
    if (channels <= 4 && k + 1 < count)
      *(four *)y = (*(const four *)p0 * w0 + *(const four *)p3 * w3) + (*(const four *)p1 * w1 + *(const four *)p2 * w2);
    else
      for (size_t c = 0; c < channels; c++) y[c] = (p0[c] * w0 + p3[c] * w3) + (p1[c] * w1 + p2[c] * w2);
  }
}

// Whether a map only moves pixels, each to the place of another: a quarter turn or flip, onto the sides that it gives.
CK_INLINE int CK(is_exact)(const ck_warp_args *w) {
  const double *m = w->m;
  if (m[2] != 0 || m[5] != 0) return 0;
  if (m[1] == 0 && m[3] == 0) return fabs(m[0]) == 1 && fabs(m[4]) == 1 && w->out_height == w->height && w->out_width == w->width;
  if (m[0] == 0 && m[4] == 0) return fabs(m[1]) == 1 && fabs(m[3]) == 1 && w->out_height == w->width && w->out_width == w->height;
  return 0;
}

// Moves pixels, in blocks: rows that are read across stay in the cache.
CK_INLINE void CK(warp_exact)(const ck_warp_args *w, const float *x, float *y) {
  enum { block = 16 };
  const ptrdiff_t channels = (ptrdiff_t)w->channels, row = (ptrdiff_t)w->width * channels;
  const ptrdiff_t right = (ptrdiff_t)w->m[0] * channels + (ptrdiff_t)w->m[3] * row;
  const ptrdiff_t down = (ptrdiff_t)w->m[1] * channels + (ptrdiff_t)w->m[4] * row;
  if (w->m[0] + w->m[1] < 0) x += row - channels;
  if (w->m[3] + w->m[4] < 0) x += row * ((ptrdiff_t)w->height - 1);
  const ptrdiff_t height = (ptrdiff_t)w->out_height, width = (ptrdiff_t)w->out_width;
  for (ptrdiff_t top = 0; top < height; top += block)
    for (ptrdiff_t left = 0; left < width; left += block)
      for (ptrdiff_t oy = top; oy < top + block && oy < height; oy++) {
        const float *from = x + oy * down + left * right;
        float *to = y + (oy * width + left) * channels;
        for (ptrdiff_t ox = left; ox < left + block && ox < width; ox++, from += right)
          for (ptrdiff_t c = 0; c < channels; c++) *to++ = from[c];
      }
}

CK_BODY void CK(ck_warp)(const ck_warp_args *w, const float *x, float *y) {
  if (CK(is_exact)(w)) {
    CK(warp_exact)(w, x, y);
    return;
  }
  // A turned image is read across its rows, which no hardware prefetcher foresees: an image that fits
  // the second cache is fetched in order before, measured twice as fast.
  const size_t size = w->height * w->width * w->channels;
  if (size <= 1 << 18) CK(ck_prefetch)(size, x);
  // Columns in strips: the input's lines that a strip's row touches are still in the first cache at the
  // next row.
  for (size_t strip = 0; strip < w->out_width; strip += CK_WARP_STRIP)
    for (size_t oy = 0; oy < w->out_height; oy++)
      for (size_t ox = strip; ox < strip + CK_WARP_STRIP && ox < w->out_width; ox += CK_RUN) {
        CK(run) run;
        CK(locate)(w, oy, ox, &run);
        const size_t count = w->out_width - ox < CK_RUN ? w->out_width - ox : CK_RUN;
        float *target = y + (oy * w->out_width + ox) * w->channels;
        if (w->interpolation == CK_BILINEAR) CK(warp_run)(w, x, &run, count, target);
        else if (w->interpolation == CK_BICUBIC) CK(warp_bicubic)(w, x, &run, count, target);
        else
          for (size_t k = 0; k < count; k++, target += w->channels) CK(warp_nearest)(w, x, &run, k, target);
      }
}

// The weights of `taps` neighbors from the fraction f, and their derivatives by f.
CK_INLINE int CK(weights)(ck_interpolation kind, float f, float w[4], float d[4]) {
  const float g = 1 - f;
  switch (kind) {
    case CK_NEAREST: w[0] = 1, d[0] = 0; return 1;
    case CK_BILINEAR: w[0] = g, w[1] = f, d[0] = -1, d[1] = 1; return 2;
    case CK_BICUBIC:
      CK(cubic_weights)(f, w);
      d[0] = -0.5f * g * g + f * g;
      d[1] = -5 * f + 4.5f * f * f;
      d[2] = 5 * g - 4.5f * g * g;
      d[3] = 0.5f * f * f - g * f;
      return 4;
  }
  return 0;
}

// The gradient of one pixel's values: adds to dx (may be NULL), gives that by its place.
CK_INLINE void CK(pixel_pullback)(const ck_warp_args *w, const float *x, const float *dy, float *dx, int wants_place,
                                  const CK(run) *run, size_t k, float *gx, float *gy) {
  const size_t channels = w->channels, width = w->width;
  float wx[4], wy[4], ex[4], ey[4];
  const int taps = CK(weights)(w->interpolation, run->fx[k], wx, ex);
  CK(weights)(w->interpolation, run->fy[k], wy, ey);
  const int before = taps == 4;  // taps begin one pixel earlier
  *gx = *gy = 0;
  for (int i = 0; i < taps; i++) {
    const ptrdiff_t r = CK(border_index)(run->y[k] + i - before, (ptrdiff_t)w->height, w->border);
    for (int j = 0; j < taps; j++) {
      const ptrdiff_t q = CK(border_index)(run->x[k] + j - before, (ptrdiff_t)width, w->border);
      if (r < 0 || q < 0) continue;
      const size_t o = ((size_t)r * width + (size_t)q) * channels;
      const float weight = wy[i] * wx[j];
      float dot = 0;
      if (dx) for (size_t c = 0; c < channels; c++) dx[o + c] += weight * dy[c];
      if (wants_place) for (size_t c = 0; c < channels; c++) dot += x[o + c] * dy[c];
      *gx += wy[i] * ex[j] * dot;
      *gy += ey[i] * wx[j] * dot;
    }
  }
}

// The gradients by the places of a run of bilinear values of one channel.
CK_INLINE void CK(run_pullback)(const ck_warp_args *w, const float *x, const float *dy, const CK(run) *run, size_t count,
                                float *gx, float *gy) {
  CK(neighbors) n;
  CK(find_neighbors)(w, run, &n);
  float g[CK_RUN] = {0};
  memcpy(g, dy, count * sizeof *g);
  for (int k = 0; k < CK_RUN; k++) {
    const float a = x[n.at[0][k]] * n.counts[0][k], b = x[n.at[1][k]] * n.counts[1][k];
    const float c = x[n.at[2][k]] * n.counts[2][k], d = x[n.at[3][k]] * n.counts[3][k];
    const float fx = run->fx[k], fy = run->fy[k];
    gx[k] = g[k] * ((b - a) * (1 - fy) + (d - c) * fy);
    gy[k] = g[k] * ((c - a) * (1 - fx) + (d - b) * fx);
  }
}

CK_BODY void CK(ck_warp_pullback)(const ck_warp_args *w, const float *x, const float *dy, float *dx,
                                  double *dm) {
  for (size_t oy = 0; oy < w->out_height; oy++)
    for (size_t ox = 0; ox < w->out_width; ox += CK_RUN) {
      CK(run) run;
      CK(locate)(w, oy, ox, &run);
      const size_t count = w->out_width - ox < CK_RUN ? w->out_width - ox : CK_RUN;
      float gx[CK_RUN], gy[CK_RUN];
      if (!dx && w->channels == 1 && w->interpolation == CK_BILINEAR)
        CK(run_pullback)(w, x, dy, &run, count, gx, gy);
      else
        for (size_t k = 0; k < count; k++)
          CK(pixel_pullback)(w, x, dy + k * w->channels, dx, dm != NULL, &run, k, gx + k, gy + k);
      dy += count * w->channels;
      if (!dm) continue;
      const double py = (double)oy - ((double)w->out_height - 1) / 2;
      const double px = (double)ox - ((double)w->out_width - 1) / 2;
      double sums[4] = {0};
      for (size_t k = 0; k < count; k++) {
        sums[0] += (double)gx[k], sums[1] += (double)gy[k];
        sums[2] += (double)gx[k] * (px + (double)k), sums[3] += (double)gy[k] * (px + (double)k);
      }
      dm[0] += sums[2], dm[1] += sums[0] * py, dm[2] += sums[0];
      dm[3] += sums[3], dm[4] += sums[1] * py, dm[5] += sums[1];
    }
}
#undef CK_RUN
#undef CK_WARP_STRIP
