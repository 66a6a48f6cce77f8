// Bicubic resampling by Keys' kernel: sixteen neighbors of each place. Contraction is off: see warp_places.h.

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

// Whether the sixteen neighbors of a place all lie inside.
CK_INLINE int CK(is_inside)(const ck_warp_args *w, const CK(run) *run, size_t k) {
  const int64_t left = run->x[k] - 1, top = run->y[k] - 1;
  return left >= 0 && top >= 0 && left + 4 <= (int64_t)w->width && top + 4 <= (int64_t)w->height;
}

// The sixteen neighbors of a place in an image of one channel, in rows.
CK_INLINE void CK(bicubic_rows)(const ck_warp_args *w, const float *x, const CK(run) *run, size_t k, CK(four) v[4]) {
  if (CK(is_inside)(w, run, k)) {
    const float *const from = x + (ptrdiff_t)(run->y[k] - 1) * (ptrdiff_t)w->width + (run->x[k] - 1);
    for (size_t i = 0; i < 4; i++) v[i] = *(const CK(four) *)(from + i * w->width);
    return;
  }
  ptrdiff_t iy[4], ix[4];
  for (int i = 0; i < 4; i++) {
    iy[i] = CK(border_index)(run->y[k] - 1 + i, (ptrdiff_t)w->height, w->border);
    ix[i] = CK(border_index)(run->x[k] - 1 + i, (ptrdiff_t)w->width, w->border);
  }
  // Beside a turned picture many places see whole rows of its border, or one pixel of each four times.
  const int is_row = ix[3] - ix[0] == 3, is_one = ix[0] == ix[1] && ix[0] == ix[2] && ix[0] == ix[3];
  if (w->border == CK_EDGE && (is_row || is_one)) {
    for (int i = 0; i < 4; i++) {
      const float *const from = x + iy[i] * (ptrdiff_t)w->width + ix[0];
      v[i] = is_row ? *(const CK(four) *)from : (CK(four)){*from, *from, *from, *from};
    }
    return;
  }
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) v[i][j] = iy[i] < 0 || ix[j] < 0 ? 0 : x[iy[i] * (ptrdiff_t)w->width + ix[j]];
}

// The first `count` values of a run of one channel. The same sums as of one pixel below.
CK_INLINE void CK(warp_bicubic_run)(const ck_warp_args *w, const float *x, const CK(run) *run, const CK(four) wx[CK_RUN],
                                    const CK(four) wy[CK_RUN], size_t count, float *y) {
#pragma clang fp contract(off)
  for (size_t k = 0; k < count; k += 4) {
    CK(four) outer[4], inner[4];
    for (size_t e = 0; e < 4; e++) {
      CK(four) v[4];
      CK(bicubic_rows)(w, x, run, k + e, v);
      for (int i = 0; i < 4; i++) v[i] *= wx[k + e] * wy[k + e][i];
      // Row 3 backwards beside row 0, row 2 backwards beside row 1: opposite members, added.
      outer[e] = v[0] + __builtin_shufflevector(v[3], v[3], 3, 2, 1, 0);
      inner[e] = v[1] + __builtin_shufflevector(v[2], v[2], 3, 2, 1, 0);
    }
    CK(transpose_fours)(outer);
    CK(transpose_fours)(inner);
    const CK(four) sums =
        ((outer[0] + outer[3]) + (inner[1] + inner[2])) + ((outer[1] + inner[3]) + (outer[2] + inner[0]));
    if (count - k >= 4) *(CK(four) *)(y + k) = sums;
    else memcpy(y + k, &sums, (count - k) * sizeof *y);
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

// The first `count` bicubic values of a run.
CK_INLINE void CK(warp_bicubic)(const ck_warp_args *w, const float *x, const CK(run) *run, size_t count, float *y) {
#pragma clang fp contract(off)
  const size_t channels = w->channels;
  CK(four) wx[CK_RUN], wy[CK_RUN];
  CK(cubic_run)(*(const CK(run_float) *)run->fx, wx);
  CK(cubic_run)(*(const CK(run_float) *)run->fy, wy);
  if (channels == 1) {
    CK(warp_bicubic_run)(w, x, run, wx, wy, count, y);
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
