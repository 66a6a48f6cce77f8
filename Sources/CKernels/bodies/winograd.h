// Winograd's F(4 x 4, 3 x 3): sixteen outputs of a 3 x 3 convolution from thirty-six products instead
// of 144 (Lavin & Gray 2016, arXiv 1509.09308).
//
// Output tiles of 4 x 4 pixels read input tiles of 6 x 6. Both are polynomials evaluated at 0, +-a,
// +-b and infinity. With a = 5/8 and b = 3/2 the error in float is about twice that of the direct
// sum; with the customary 1 and 2 it is five times (docs/decisions.md).
//
// Scratch holds a tile's 36 points one after another: writing and reading tiles is then sequential,
// measured 10 % faster than one matrix per point.

#define CK_A 0.625f
#define CK_B 1.5f
#define CK_A2 (CK_A * CK_A)
#define CK_B2 (CK_B * CK_B)
#define CK_N0 (1 / (CK_A2 * CK_B2))                   // 1 / product of the distances to the other points
#define CK_NA (1 / (2 * CK_A2 * (CK_A2 - CK_B2)))
#define CK_NB (1 / (2 * CK_B2 * (CK_B2 - CK_A2)))

// Six values to six: the evaluation of the input.
CK_INLINE void CK(winograd_in)(const CK(vec) d[6], CK(vec) v[6]) {
  const CK(vec) ea = d[4] - CK_B2 * d[2], oa = CK_A * (d[3] - CK_B2 * d[1]);
  const CK(vec) eb = d[4] - CK_A2 * d[2], ob = CK_B * (d[3] - CK_A2 * d[1]);
  v[0] = CK_A2 * CK_B2 * d[0] - (CK_A2 + CK_B2) * d[2] + d[4];
  v[1] = ea + oa, v[2] = ea - oa, v[3] = eb + ob, v[4] = eb - ob;
  v[5] = CK_A2 * CK_B2 * d[1] - (CK_A2 + CK_B2) * d[3] + d[5];
}

// Six values to four: the interpolation of the output.
CK_INLINE void CK(winograd_out)(const CK(vec) m[6], CK(vec) y[4]) {
  const CK(vec) ea = m[1] + m[2], oa = m[1] - m[2], eb = m[3] + m[4], ob = m[3] - m[4];
  y[0] = m[0] + ea + eb;
  y[1] = CK_A * oa + CK_B * ob;
  y[2] = CK_A2 * ea + CK_B2 * eb;
  y[3] = CK_A2 * CK_A * oa + CK_B2 * CK_B * ob + m[5];
}

// Four values to six: the transpose of `winograd_out`, for the gradient by the output.
CK_INLINE void CK(winograd_out_transposed)(const CK(vec) g[4], CK(vec) m[6]) {
  const CK(vec) ea = g[0] + CK_A2 * g[2], oa = CK_A * g[1] + CK_A2 * CK_A * g[3];
  const CK(vec) eb = g[0] + CK_B2 * g[2], ob = CK_B * g[1] + CK_B2 * CK_B * g[3];
  m[0] = g[0];
  m[1] = ea + oa, m[2] = ea - oa, m[3] = eb + ob, m[4] = eb - ob;
  m[5] = g[3];
}

// Three values to six: the evaluation of the kernel.
CK_INLINE void CK(winograd_kernel)(const CK(vec) g[3], CK(vec) u[6]) {
  const CK(vec) ea = CK_NA * (g[0] + CK_A2 * g[2]), oa = CK_NA * CK_A * g[1];
  const CK(vec) eb = CK_NB * (g[0] + CK_B2 * g[2]), ob = CK_NB * CK_B * g[1];
  u[0] = CK_N0 * g[0];
  u[1] = ea + oa, u[2] = ea - oa, u[3] = eb + ob, u[4] = eb - ob;
  u[5] = g[2];
}

// Six values to three: the transpose of `winograd_kernel`.
CK_INLINE void CK(winograd_kernel_transposed)(const CK(vec) u[6], CK(vec) g[3]) {
  const CK(vec) ea = CK_NA * (u[1] + u[2]), oa = CK_NA * (u[1] - u[2]);
  const CK(vec) eb = CK_NB * (u[3] + u[4]), ob = CK_NB * (u[3] - u[4]);
  g[0] = CK_N0 * u[0] + ea + eb;
  g[1] = CK_A * oa + CK_B * ob;
  g[2] = CK_A2 * ea + CK_B2 * eb + u[5];
}

// Keeps the compiler from computing 36 addresses ahead and spilling them.
#define CK_STEPPED(p) __asm__("" : "+r"(p))

CK_BODY void CK(ck_winograd_weights)(size_t channels, size_t outputs, const float *w, float *u) {
  typedef CK(vec) vec;
  const size_t panels = (outputs + CK_PANEL - 1) / CK_PANEL, point = panels * channels * CK_PANEL;
  for (size_t c = 0; c < channels; c++)
    for (size_t k = 0; k < panels * CK_PANEL; k += CK_WIDTH) {
      float *target = u + k / CK_PANEL * channels * CK_PANEL + c * CK_PANEL + k % CK_PANEL;
      vec half[6][3];
#pragma clang loop unroll(full)
      for (int q = 0; q < 3; q++) {
        vec g[3], t[6];
        for (int p = 0; p < 3; p++)
          g[p] = k < outputs ? *(const vec *)(w + ((size_t)(3 * p + q) * channels + c) * outputs + k) : (vec){0};
        CK(winograd_kernel)(g, t);
        for (int p = 0; p < 6; p++) half[p][q] = t[p];
      }
#pragma clang loop unroll(full)
      for (int p = 0; p < 6; p++) {
        vec t[6];
        CK(winograd_kernel)(half[p], t);
        for (int q = 0; q < 6; q++) *(vec *)(target + (size_t)(6 * p + q) * point) = t[q];
      }
    }
}

CK_BODY void CK(ck_winograd_weights_pullback)(size_t channels, size_t outputs, const float *u, float *w) {
  typedef CK(vec) vec;
  const size_t count = channels * outputs;
  for (size_t i = 0; i < count; i += CK_WIDTH) {
    const size_t valid = count - i;
    vec half[3][6];
#pragma clang loop unroll(full)
    for (int q = 0; q < 6; q++) {
      vec t[6], g[3];
      for (int p = 0; p < 6; p++) t[p] = *(const vec *)(u + (size_t)(6 * p + q) * count + i);
      CK(winograd_kernel_transposed)(t, g);
      for (int p = 0; p < 3; p++) half[p][q] = g[p];
    }
#pragma clang loop unroll(full)
    for (int p = 0; p < 3; p++) {
      vec g[3];
      CK(winograd_kernel_transposed)(half[p], g);
      for (int q = 0; q < 3; q++) CK(store_vector)(w + (size_t)(3 * p + q) * count + i, g[q], valid);
    }
  }
}

// The n pixels of a tile's row or column that lie within 0 ..< extent: first ..< end, counted from `at`.
typedef struct { int first, end; } CK(span);

CK_INLINE CK(span) CK(inside)(ptrdiff_t at, size_t extent, int n) {
  const ptrdiff_t end = (ptrdiff_t)extent - at;
  return (CK(span)){at < 0 ? (int)-at : 0, end < n ? (int)(end < 0 ? 0 : end) : n};
}

#define CK_EACH_TILE(w, row, column) \
  for (size_t row = (w)->first_row; row < (w)->first_row + (w)->rows; row++) \
    for (size_t column = 0; column < ((w)->out_width + 3) / 4; column++)

// One tile of N x N pixels, evaluated at 6 x 6 points. With `whole`, all of it lies in the image.
CK_INLINE void CK(winograd_evaluate)(const float *x, size_t row_step, size_t channels, CK(span) rows,
                                     CK(span) columns, const int whole, const int N, float *v, size_t point) {
  typedef CK(vec) vec;
  for (size_t c = 0; c < channels; c += CK_WIDTH) {
    vec half[6][6];
#pragma clang loop unroll(full)
    for (int j = 0; j < N; j++) {
      vec d[6], t[6];
#pragma clang loop unroll(full)
      for (int i = 0; i < N; i++)
        d[i] = whole || (i >= rows.first && i < rows.end && j >= columns.first && j < columns.end)
                   ? *(const vec *)(x + (ptrdiff_t)i * (ptrdiff_t)row_step + (ptrdiff_t)j * (ptrdiff_t)channels + c)
                   : (vec){0};
      if (N == 6) CK(winograd_in)(d, t);
      else CK(winograd_out_transposed)(d, t);
#pragma clang loop unroll(full)
      for (int i = 0; i < 6; i++) half[i][j] = t[i];
    }
    float *target = v + c;
#pragma clang loop unroll(full)
    for (int i = 0; i < 6; i++) {
      vec t[6];
      if (N == 6) CK(winograd_in)(half[i], t);
      else CK(winograd_out_transposed)(half[i], t);
#pragma clang loop unroll(full)
      for (int j = 0; j < 6; j++, target += point) {
        CK_STEPPED(target);
        *(vec *)target = t[j];
      }
    }
  }
}

// The scratch rows of all tiles of images of a size, a tile beginning `padding` before its outputs.
CK_INLINE void CK(winograd_tiles)(const ck_winograd_args *w, const float *x, size_t height, size_t width,
                                  size_t channels, size_t padding, const int N, float *v, size_t stride, size_t point) {
  if (w->rows * 4 + 4 >= height) CK(ck_prefetch)(w->images * height * width * channels, x);
  for (size_t n = 0; n < w->images; n++, x += height * width * channels)
    CK_EACH_TILE(w, row, column) {
      const ptrdiff_t y0 = (ptrdiff_t)(4 * row) - (ptrdiff_t)padding, x0 = (ptrdiff_t)(4 * column) - (ptrdiff_t)padding;
      const CK(span) rows = CK(inside)(y0, height, N), columns = CK(inside)(x0, width, N);
      const float *corner = x + (y0 * (ptrdiff_t)width + x0) * (ptrdiff_t)channels;
      const int whole = rows.end - rows.first == N && columns.end - columns.first == N;
      if (whole) CK(winograd_evaluate)(corner, width * channels, channels, rows, columns, 1, N, v, point);
      else CK(winograd_evaluate)(corner, width * channels, channels, rows, columns, 0, N, v, point);
      v += stride;
    }
}

// One tile of outputs from its points, with bias, what is added and clamp.
CK_INLINE void CK(winograd_interpolate)(const ck_winograd_args *w, const float *m, float *y, const float *added, int rows,
                                        int columns, const int whole) {
  typedef CK(vec) vec;
  for (size_t c = 0; c < w->count; c += CK_WIDTH) {
    const size_t valid = w->count - c;
    vec half[6][4], bias = {0};
    if (w->bias) bias = CK(load_vector)(w->bias + w->first_output + c, valid);
    const float *source = m + c;
#pragma clang loop unroll(full)
    for (int i = 0; i < 6; i++) {
      vec t[6];
#pragma clang loop unroll(full)
      for (int j = 0; j < 6; j++, source += w->output_point) {
        CK_STEPPED(source);
        t[j] = *(const vec *)source;
      }
      CK(winograd_out)(t, half[i]);
    }
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j++) {
      vec t[6], g[4];
#pragma clang loop unroll(full)
      for (int i = 0; i < 6; i++) t[i] = half[i][j];
      CK(winograd_out)(t, g);
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++) {
        if (!whole && (i >= rows || j >= columns)) continue;
        const size_t place = ((size_t)i * w->out_width + (size_t)j) * w->outputs + c;
        vec value = g[i] + bias;
        if (added) value += CK(load_vector)(added + place, whole ? CK_WIDTH : valid);
        if (w->relu) value = CK(rectified)(value);
        float *target = y + place;
        if (whole) *(vec *)target = value;
        else CK(store_vector)(target, value, valid);
      }
    }
  }
}

// Outputs from scratch rows.
CK_INLINE void CK(winograd_tiles_out)(const ck_winograd_args *w, const float *m, float *y) {
  for (size_t n = 0; n < w->images; n++)
    CK_EACH_TILE(w, row, column) {
      const size_t corner = ((n * w->out_height + 4 * row) * w->out_width + 4 * column) * w->outputs + w->first_output;
      const float *added = w->added ? w->added + corner : NULL;
      const int rows = CK(inside)((ptrdiff_t)(4 * row), w->out_height, 4).end;
      const int columns = CK(inside)((ptrdiff_t)(4 * column), w->out_width, 4).end;
      const int whole = rows == 4 && columns == 4 && w->count % CK_WIDTH == 0;
      if (whole) CK(winograd_interpolate)(w, m, y + corner, added, 4, 4, 1);
      else CK(winograd_interpolate)(w, m, y + corner, added, rows, columns, 0);
      m += w->output_stride;
    }
}

CK_INLINE void CK(winograd_tiles_in)(const ck_winograd_args *w, const float *x) {
  CK(winograd_tiles)(w, x, w->height, w->width, w->channels, w->padding, 6, w->input_scratch, w->input_stride,
                     w->input_point);
}

CK_BODY void CK(ck_winograd)(const ck_winograd_args *w, const float *x, const float *u, float *y) {
  const size_t panels = (w->outputs + CK_PANEL - 1) / CK_PANEL;
  CK(winograd_tiles_in)(w, x);
  for (size_t point = 0; point < 36; point++) {
    const ck_gather_product_args product = {
        .rows = w->tiles, .columns = w->count, .depth = w->channels,
        .a = w->input_scratch + point * w->input_point, .row_offsets = w->input_rows,
        .depth_offsets = w->counting, .b = u + (point * panels * CK_PANEL + w->first_output) * w->channels,
        .b_panel = w->channels * CK_PANEL,
        .c = w->output_scratch + point * w->output_point, .c_offsets = w->output_rows};
    CK(gather_product)(&product, 1);
  }
  CK(winograd_tiles_out)(w, w->output_scratch, y);
}

CK_BODY void CK(ck_winograd_pullback)(const ck_winograd_args *w, const float *x, const float *dy, float *du) {
  CK(winograd_tiles_in)(w, x);
  CK(winograd_tiles)(w, dy, w->out_height, w->out_width, w->outputs, 0, 4, w->output_scratch, w->output_stride,
                     w->output_point);
  for (size_t point = 0; point < 36; point++) {
    const ck_gather_product_args product = {
        .rows = w->channels, .columns = w->outputs, .depth = w->tiles,
        .a = w->input_scratch + point * w->input_point, .row_offsets = w->counting,
        .depth_offsets = w->input_rows, .b = w->output_scratch + point * w->output_point,
        .b_stride = w->output_stride, .c = du + point * w->channels * w->outputs,
        .c_offsets = w->weight_rows, .added = du + point * w->channels * w->outputs};
    CK(ck_gather_product)(&product);
  }
}

#undef CK_EACH_TILE
#undef CK_STEPPED
#undef CK_A
#undef CK_B
#undef CK_A2
#undef CK_B2
#undef CK_N0
#undef CK_NA
#undef CK_NB
