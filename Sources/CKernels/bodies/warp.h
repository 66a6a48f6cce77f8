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

// A point of the input: integer pixel and fraction, from a displacement in units of 2^-16 pixel.
typedef struct { ptrdiff_t x, y; float fx, fy; } CK(sample);

CK_INLINE CK(sample) CK(locate)(const ck_warp_args *w, size_t oy, size_t ox, int nearest) {
#pragma clang fp contract(off)
  const double dx = (double)ox - ((double)w->out_width - 1) / 2;
  const double dy = (double)oy - ((double)w->out_height - 1) / 2;
  const double *m = w->m;
  const double ux = (m[0] * dx + m[1] * dy) + m[2], uy = (m[3] * dx + m[4] * dy) + m[5];
  // In units of 2^-17 so that the half-pixel center of an even size is an integer too.
  const int64_t qx = 2 * (int64_t)nearbyint(ux * 65536) + ((int64_t)w->width - 1) * 65536;
  const int64_t qy = 2 * (int64_t)nearbyint(uy * 65536) + ((int64_t)w->height - 1) * 65536;
  if (nearest) {
    // Halves go away from the center, which is symmetric under turns and flips.
    const int64_t cx = ((int64_t)w->width - 1) * 65536, cy = ((int64_t)w->height - 1) * 65536;
    const int64_t bx = qx > cx ? 65536 : 65535, by = qy > cy ? 65536 : 65535;
    return (CK(sample)){(ptrdiff_t)((qx + bx) >> 17), (ptrdiff_t)((qy + by) >> 17), 0, 0};
  }
  const int64_t ix = qx >> 17, iy = qy >> 17;
  return (CK(sample)){(ptrdiff_t)ix, (ptrdiff_t)iy, (float)(qx - (ix << 17)) * 0x1p-17f,
                      (float)(qy - (iy << 17)) * 0x1p-17f};
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

CK_INLINE void CK(warp_bicubic)(const ck_warp_args *w, const float *x, CK(sample) s, float *y) {
#pragma clang fp contract(off)
  const size_t channels = w->channels;
  float wx[4], wy[4];
  CK(cubic_weights)(s.fx, wx);
  CK(cubic_weights)(s.fy, wy);
  for (size_t c = 0; c < channels; c++) {
    float v[4][4];
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 4; j++) {
        const ptrdiff_t iy = CK(border_index)(s.y - 1 + i, (ptrdiff_t)w->height, w->border);
        const ptrdiff_t ix = CK(border_index)(s.x - 1 + j, (ptrdiff_t)w->width, w->border);
        v[i][j] = iy < 0 || ix < 0 ? 0
                                   : x[((size_t)iy * w->width + (size_t)ix) * channels + c] * (wy[i] * wx[j]);
      }
    // Sums over the orbits of the quarter turn on the 4 x 4 stencil, opposite members first.
    const float corners = (v[0][0] + v[3][3]) + (v[0][3] + v[3][0]);
    const float center = (v[1][1] + v[2][2]) + (v[1][2] + v[2][1]);
    const float side = ((v[0][1] + v[3][2]) + (v[1][3] + v[2][0])) + ((v[0][2] + v[3][1]) + (v[1][0] + v[2][3]));
    y[c] = (corners + center) + side;
  }
}

CK_BODY void CK(ck_warp)(const ck_warp_args *w, const float *x, float *y) {
#pragma clang fp contract(off)
  const size_t channels = w->channels, width = w->width;
  const int inside_possible = w->height > 1 && w->width > 1;
  for (size_t oy = 0; oy < w->out_height; oy++)
    for (size_t ox = 0; ox < w->out_width; ox++, y += channels) {
      const CK(sample) s = CK(locate)(w, oy, ox, w->interpolation == CK_NEAREST);
      if (w->interpolation == CK_BICUBIC) { CK(warp_bicubic)(w, x, s, y); continue; }
      if (w->interpolation == CK_NEAREST) {
        const ptrdiff_t iy = CK(border_index)(s.y, (ptrdiff_t)w->height, w->border);
        const ptrdiff_t ix = CK(border_index)(s.x, (ptrdiff_t)width, w->border);
        for (size_t c = 0; c < channels; c++)
          y[c] = iy < 0 || ix < 0 ? 0 : x[((size_t)iy * width + (size_t)ix) * channels + c];
        continue;
      }
      const float gx = 1 - s.fx, gy = 1 - s.fy;
      const float w00 = gy * gx, w01 = gy * s.fx, w10 = s.fy * gx, w11 = s.fy * s.fx;
      if (inside_possible && s.x >= 0 && s.y >= 0 && s.x + 1 < (ptrdiff_t)width &&
          s.y + 1 < (ptrdiff_t)w->height) {
        const float *p = x + ((size_t)s.y * width + (size_t)s.x) * channels;
        const float *q = p + width * channels;
        for (size_t c = 0; c < channels; c++)
          y[c] = (p[c] * w00 + q[channels + c] * w11) + (p[channels + c] * w01 + q[c] * w10);
        continue;
      }
      const ptrdiff_t y0 = CK(border_index)(s.y, (ptrdiff_t)w->height, w->border);
      const ptrdiff_t y1 = CK(border_index)(s.y + 1, (ptrdiff_t)w->height, w->border);
      const ptrdiff_t x0 = CK(border_index)(s.x, (ptrdiff_t)width, w->border);
      const ptrdiff_t x1 = CK(border_index)(s.x + 1, (ptrdiff_t)width, w->border);
#define CK_READ(i, j) ((i) < 0 || (j) < 0 ? 0 : x[((size_t)(i) * width + (size_t)(j)) * channels + c])
      for (size_t c = 0; c < channels; c++)
        y[c] = (CK_READ(y0, x0) * w00 + CK_READ(y1, x1) * w11) +
               (CK_READ(y0, x1) * w01 + CK_READ(y1, x0) * w10);
#undef CK_READ
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

CK_BODY void CK(ck_warp_pullback)(const ck_warp_args *w, const float *x, const float *dy, float *dx,
                                  double *dm) {
  const size_t channels = w->channels, width = w->width;
  for (size_t oy = 0; oy < w->out_height; oy++)
    for (size_t ox = 0; ox < w->out_width; ox++, dy += channels) {
      const CK(sample) s = CK(locate)(w, oy, ox, w->interpolation == CK_NEAREST);
      float wx[4], wy[4], ex[4], ey[4];
      const int taps = CK(weights)(w->interpolation, s.fx, wx, ex);
      CK(weights)(w->interpolation, s.fy, wy, ey);
      const int before = taps == 4;  // taps begin one pixel earlier
      float gx = 0, gy = 0;
      for (int i = 0; i < taps; i++) {
        const ptrdiff_t r = CK(border_index)(s.y + i - before, (ptrdiff_t)w->height, w->border);
        for (int j = 0; j < taps; j++) {
          const ptrdiff_t q = CK(border_index)(s.x + j - before, (ptrdiff_t)width, w->border);
          if (r < 0 || q < 0) continue;
          const size_t o = ((size_t)r * width + (size_t)q) * channels;
          const float weight = wy[i] * wx[j];
          float dot = 0;
          if (dx) for (size_t c = 0; c < channels; c++) dx[o + c] += weight * dy[c];
          if (dm) for (size_t c = 0; c < channels; c++) dot += x[o + c] * dy[c];
          gx += wy[i] * ex[j] * dot;
          gy += ey[i] * wx[j] * dot;
        }
      }
      if (dm) {
        const double px = (double)ox - ((double)w->out_width - 1) / 2;
        const double py = (double)oy - ((double)w->out_height - 1) / 2;
        dm[0] += gx * px, dm[1] += gx * py, dm[2] += gx;
        dm[3] += gy * px, dm[4] += gy * py, dm[5] += gy;
      }
    }
}
