// Affine resampling and its gradients: places from warp_places.h. Contraction is off: see there.

CK_INLINE void CK(warp_nearest)(const ck_warp_args *w, const float *x, const CK(run) *run, size_t k, float *y) {
  const ptrdiff_t iy = CK(border_index)(run->y[k], (ptrdiff_t)w->height, w->border);
  const ptrdiff_t ix = CK(border_index)(run->x[k], (ptrdiff_t)w->width, w->border);
  for (size_t c = 0; c < w->channels; c++)
    y[c] = iy < 0 || ix < 0 ? 0 : x[((size_t)iy * w->width + (size_t)ix) * w->channels + c];
}

// The first `count` pixels of a run, from their four neighbors: where the image begins for each, the places from there, and the weights.
CK_INLINE void CK(blend_channels)(const float *const x[4], const int32_t *const at[4], const float weight[4][CK_RUN],
                                  const size_t channels, size_t count, int is_last, float *y) {
#pragma clang fp contract(off)
  // Four floats at once where there are three: what a store writes too much, the next pixel's overwrites.
  const size_t wide = channels == 3 ? count - (is_last != 0) : channels == 4 ? count : 0;
  size_t k = 0;
  for (; k < wide; k++, y += channels) {
    const CK(four) a = *(const CK(four) *)(x[0] + at[0][k]) * weight[0][k], b = *(const CK(four) *)(x[1] + at[1][k]) * weight[1][k];
    const CK(four) c = *(const CK(four) *)(x[2] + at[2][k]) * weight[2][k], d = *(const CK(four) *)(x[3] + at[3][k]) * weight[3][k];
    *(CK(four) *)y = (a + d) + (b + c);
  }
  for (; k < count; k++, y += channels)
    for (size_t c = 0; c < channels; c++)
      y[c] = (x[0][at[0][k] + (ptrdiff_t)c] * weight[0][k] + x[3][at[3][k] + (ptrdiff_t)c] * weight[3][k]) +
             (x[1][at[1][k] + (ptrdiff_t)c] * weight[1][k] + x[2][at[2][k] + (ptrdiff_t)c] * weight[2][k]);
}

CK_INLINE void CK(blend)(const float *const x[4], const int32_t *const at[4], const float weight[4][CK_RUN], size_t channels,
                         size_t count, int is_last, float *y) {
  switch (channels) {
    case 1: CK(blend_channels)(x, at, weight, 1, count, is_last, y); break;
    case 3: CK(blend_channels)(x, at, weight, 3, count, is_last, y); break;
    case 4: CK(blend_channels)(x, at, weight, 4, count, is_last, y); break;
    default: CK(blend_channels)(x, at, weight, channels, count, is_last, y);
  }
}

// The first `count` bilinear values of a run, which may be the last of its row.
CK_INLINE void CK(warp_run)(const ck_warp_args *w, const float *x, const CK(run) *run, size_t count, int is_last, float *y) {
#pragma clang fp contract(off)
  const size_t channels = w->channels, row = w->width * channels;
  typedef CK(run_float) floats;
  const floats fx = *(const floats *)run->fx, fy = *(const floats *)run->fy, gx = 1 - fx, gy = 1 - fy;
  float weight[4][CK_RUN];
  for (int e = 0; e < 4; e++) *(floats *)weight[e] = (e / 2 ? fy : gy) * (e % 2 ? fx : gx);
  if (CK(has_neighbors)(w, run)) {
    // From the place of the first of the four alone.
    int32_t at[CK_RUN];
    *(CK(run_integer) *)at =
        (*(const CK(run_integer) *)run->y * (int32_t)w->width + *(const CK(run_integer) *)run->x) * (int32_t)channels;
    CK(blend)((const float *const[]){x, x + channels, x + row, x + row + channels}, (const int32_t *const[]){at, at, at, at}, weight,
              channels, count, is_last, y);
    return;
  }
  CK(neighbors) n;
  CK(find_neighbors)(w, run, &n);
  for (int e = 0; e < 4; e++) *(floats *)weight[e] *= *(const floats *)n.counts[e];
  CK(blend)((const float *const[]){x, x, x, x}, (const int32_t *const[]){n.at[0], n.at[1], n.at[2], n.at[3]}, weight, channels, count,
            is_last, y);
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

// The first `count` values of a run, which begins at a pixel of the result, and may be the last of its row.
CK_INLINE void CK(sample_run)(const ck_warp_args *w, const float *x, const CK(run) *run, size_t count, int is_last, float *y) {
  if (w->interpolation == CK_BILINEAR) CK(warp_run)(w, x, run, count, is_last, y);
  else if (w->interpolation == CK_BICUBIC) CK(warp_bicubic)(w, x, run, count, y);
  else
    for (size_t k = 0; k < count; k++, y += w->channels) CK(warp_nearest)(w, x, run, k, y);
}

CK_BODY void CK(ck_warp)(const ck_warp_args *w, const float *x, float *y) {
  if (CK(is_exact)(w) && !w->backdrop) {
    CK(warp_exact)(w, x, y);
    return;
  }
  // A turned image is read across its rows, which no hardware prefetcher foresees: an image that fits
  // the second cache is fetched in order before, measured twice as fast.
  const size_t size = w->height * w->width * w->channels;
  if (size <= 1 << 18 && !w->fetched) CK(ck_prefetch)(size, x);
  // The next one a little at each row of a strip, while there is something to compute: where images come from memory, 128 of
  // 224 x 224 x 3 take two thirds of the time.
  const size_t steps = (w->out_width + CK_WARP_STRIP - 1) / CK_WARP_STRIP * w->out_height;
  const size_t lines = w->next && steps && size <= 1 << 18 ? (size / 16 + steps - 1) / steps : 0;
  const float *next = w->next;
  const int near = CK(is_near)(w);
  const size_t written = w->out_height * w->out_width * w->channels;
  // Columns in strips: the input's lines that a strip's row touches are still in the first cache at the
  // next row.
  // The places of the next row are found before this row's values are added up: neither waits for the other.
  for (size_t strip = 0; strip < w->out_width; strip += CK_WARP_STRIP) {
    CK(run) runs[2][CK_WARP_STRIP / CK_RUN];
    CK(locate_strip)(w, 0, strip, near, runs[0]);
    for (size_t oy = 0; oy < w->out_height; oy++) {
      for (size_t i = 0; i < lines && next < w->next + size; i++, next += 16) __builtin_prefetch(next);
      // Nor does hardware foresee a strip's next rows.
      const size_t ahead = ((oy + CK_WARP_AHEAD) * w->out_width + strip) * w->channels;
      for (size_t i = 0; i < CK_WARP_STRIP * w->channels && ahead + i < written; i += 16) __builtin_prefetch(y + ahead + i, 1);
      if (oy + 1 < w->out_height) CK(locate_strip)(w, oy + 1, strip, near, runs[(oy + 1) % 2]);
      const CK(run) *run = runs[oy % 2];
      for (size_t ox = strip; ox < strip + CK_WARP_STRIP && ox < w->out_width; ox += CK_RUN, run++) {
        const size_t count = w->out_width - ox < CK_RUN ? w->out_width - ox : CK_RUN;
        float *target = y + (oy * w->out_width + ox) * w->channels;
        const int is_last = ox + count == w->out_width;
        if (!w->backdrop) {
          CK(sample_run)(w, x, run, count, is_last, target);
          continue;
        }
        const CK(run) *places = run;
        CK(run) own;
        if (w->interpolation == CK_NEAREST) {
          // Shares are of the place itself, not of the nearest pixel.
          ck_warp_args between = *w;
          between.interpolation = CK_BILINEAR;
          CK(locate)(&between, oy, ox, near, &own);
          places = &own;
        }
        float share[CK_RUN];
        if (CK(backdrop_shares)(w, places, count, share)) CK(sample_run)(w, x, run, count, is_last, target);
        else memset(target, 0, count * w->channels * sizeof *target);
        CK(backdrop_fade)(w, share, count, target);
      }
    }
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
      CK(locate)(w, oy, ox, 0, &run);
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
#undef CK_JOIN
#undef CK_WARP_AHEAD
#undef CK_WARP_STRIP
