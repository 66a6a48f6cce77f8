// Winograd's F(M x M, 3 x 3): M^2 outputs of a 3 x 3 convolution from (M + 2)^2 products instead of 9 M^2 (Lavin & Gray 2016,
// arXiv 1509.09308): a quarter of them for M = 4, 18 % for M = 7.
//
// Output tiles of M x M pixels read input tiles of (M + 2)^2. Both are polynomials evaluated at pairs of points +-p, at infinity and,
// for M = 4, at 0. The pairs decide the rounding error (docs/decisions.md); their powers, and what the input is multiplied by, are
// exact in float.
//
// Scratch holds a tile's points one after another: writing and reading tiles is then sequential, measured 10 % faster than one
// matrix per point.

#ifndef CK_WINOGRAD_POINTS
#define CK_WINOGRAD_POINTS
typedef struct {
  int pairs, zero;
  float at[4];         // the pairs
  float others[4][4];  // of each, by rising powers of x^2: the product of x^2 - q^2 over the other pairs q
  float all[5];        // the product over all of them
  float scale[4];      // 1 / the product of +p's distances to the other points
} ck_winograd_points;

#define CK_P(a, b) (1 / (2 * (a) * (a) * ((a) * (a) - (b) * (b))))
#define CK_POINTS(a, b) \
  {2, 1, {a, b}, {{-(b) * (b), 1}, {-(a) * (a), 1}}, {(a) * (a) * (b) * (b), -(a) * (a) - (b) * (b), 1}, {CK_P(a, b), CK_P(b, a)}}
static const ck_winograd_points ck_winograd_4 = CK_POINTS(0.625f, 1.5f);
#undef CK_POINTS
#undef CK_P

#define CK_P(p, a, b, c, d) (1 / (2 * (p) * ((a) - (b)) * ((a) - (c)) * ((a) - (d))))
#define CK_CUBIC(b, c, d) {-(b) * (c) * (d), (b) * (c) + (b) * (d) + (c) * (d), -(b) - (c) - (d), 1}
#define CK_SQUARED(p, q, r, s, a, b, c, d) \
  {4, 0, {p, q, r, s}, {CK_CUBIC(b, c, d), CK_CUBIC(a, c, d), CK_CUBIC(a, b, d), CK_CUBIC(a, b, c)}, \
   {(a) * (b) * (c) * (d), -(a) * (b) * (c) - (a) * (b) * (d) - (a) * (c) * (d) - (b) * (c) * (d), \
    (a) * (b) + (a) * (c) + (a) * (d) + (b) * (c) + (b) * (d) + (c) * (d), -(a) - (b) - (c) - (d), 1}, \
   {CK_P(p, a, b, c, d), CK_P(q, b, a, c, d), CK_P(r, c, a, b, d), CK_P(s, d, a, b, c)}}
#define CK_POINTS(p, q, r, s) CK_SQUARED(p, q, r, s, (p) * (p), (q) * (q), (r) * (r), (s) * (s))
static const ck_winograd_points ck_winograd_7 = CK_POINTS(0.25f, 0.6875f, 1.125f, 2.25f);
#undef CK_POINTS
#undef CK_SQUARED
#undef CK_CUBIC
#undef CK_P
#endif

#define CK_POINTS(M) const ck_winograd_points *const w = M == 4 ? &ck_winograd_4 : &ck_winograd_7

// M + 2 values to M + 2: the evaluation of the input.
CK_INLINE void CK(winograd_in)(const int M, const CK(vec) *d, CK(vec) *v) {
  CK_POINTS(M);
  const int zero = w->zero, top = w->pairs - 1;
#pragma clang loop unroll(full)
  for (int i = 0; i < w->pairs; i++) {
    CK(vec) even = d[zero + 2 * top], odd = d[zero + 2 * top + 1];
#pragma clang loop unroll(full)
    for (int k = 0; k < top; k++) even += w->others[i][k] * d[zero + 2 * k], odd += w->others[i][k] * d[zero + 2 * k + 1];
    v[zero + 2 * i] = odd + w->at[i] * even;
    v[zero + 2 * i + 1] = zero ? odd - w->at[i] * even : w->at[i] * even - odd;
  }
  CK(vec) last = d[M + 1], first = d[M];
#pragma clang loop unroll(full)
  for (int k = 0; k <= top; k++) {
    last += w->all[k] * d[zero + 2 * k];
    if (zero) first += w->all[k] * d[2 * k];
  }
  v[M + 1] = last;
  if (zero) v[0] = first;
}

// M + 2 values to M: the interpolation of the output.
CK_INLINE void CK(winograd_out)(const int M, const CK(vec) *m, CK(vec) *y) {
  CK_POINTS(M);
  const int zero = w->zero;
#pragma clang loop unroll(full)
  for (int i = 0; i < w->pairs; i++) {
    const CK(vec) even = m[zero + 2 * i] + m[zero + 2 * i + 1], odd = m[zero + 2 * i] - m[zero + 2 * i + 1];
    float power = 1;
#pragma clang loop unroll(full)
    for (int k = 0; k < M; k++, power *= w->at[i]) {
      const CK(vec) term = k % 2 ? odd : even;
      y[k] = i > 0 ? y[k] + power * term : k > 0 ? power * term : zero ? m[0] + term : term;
    }
  }
  y[M - 1] += m[M + 1];
}

// M values to M + 2: the transpose of `winograd_out`, for the gradient by the output.
CK_INLINE void CK(winograd_out_transposed)(const int M, const CK(vec) *g, CK(vec) *m) {
  CK_POINTS(M);
  const int zero = w->zero;
#pragma clang loop unroll(full)
  for (int i = 0; i < w->pairs; i++) {
    CK(vec) even = g[0], odd = w->at[i] * g[1];
    float power = w->at[i] * w->at[i];
#pragma clang loop unroll(full)
    for (int k = 2; k < M; k++, power *= w->at[i]) {
      if (k % 2) odd += power * g[k];
      else even += power * g[k];
    }
    m[zero + 2 * i] = even + odd, m[zero + 2 * i + 1] = even - odd;
  }
  if (zero) m[0] = g[0];
  m[M + 1] = g[M - 1];
}

// Three values to M + 2: the evaluation of the kernel.
CK_INLINE void CK(winograd_kernel)(const int M, const CK(vec) *g, CK(vec) *u) {
  CK_POINTS(M);
  const int zero = w->zero;
#pragma clang loop unroll(full)
  for (int i = 0; i < w->pairs; i++) {
    const CK(vec) even = w->scale[i] * (g[0] + w->at[i] * w->at[i] * g[2]), odd = w->scale[i] * w->at[i] * g[1];
    u[zero + 2 * i] = even + odd, u[zero + 2 * i + 1] = even - odd;
  }
  if (zero) u[0] = 1 / w->all[0] * g[0];
  u[M + 1] = g[2];
}

// M + 2 values to three: the transpose of `winograd_kernel`.
CK_INLINE void CK(winograd_kernel_transposed)(const int M, const CK(vec) *u, CK(vec) *g) {
  CK_POINTS(M);
  const int zero = w->zero;
  g[0] = zero ? 1 / w->all[0] * u[0] : (CK(vec)){0};
  g[1] = (CK(vec)){0};
  g[2] = u[M + 1];
#pragma clang loop unroll(full)
  for (int i = 0; i < w->pairs; i++) {
    const CK(vec) even = w->scale[i] * (u[zero + 2 * i] + u[zero + 2 * i + 1]);
    g[0] += even;
    g[1] += w->scale[i] * w->at[i] * (u[zero + 2 * i] - u[zero + 2 * i + 1]);
    g[2] += w->at[i] * w->at[i] * even;
  }
}
#undef CK_POINTS

// Of `count` outputs from `first` on, which begins a panel.
//
// Points lie pages apart, where lines compete for the same sets of a cache: a panel's line is written as a whole, and once.
CK_INLINE void CK(winograd_weights)(const int M, size_t channels, size_t outputs, size_t first, size_t count, const float *w,
                                    float *u) {
  typedef CK(vec) vec;
  const size_t panels = (count + CK_PANEL - 1) / CK_PANEL, point = panels * channels * CK_PANEL;
  for (size_t k = first; k < first + count; k += CK_PANEL)
    for (size_t c = 0; c < channels; c++, u += CK_PANEL) {
      vec half[2][M + 2][3];
#pragma clang loop unroll(full)
      for (int part = 0; part < 2; part++) {
        const size_t column = k + (size_t)part * CK_WIDTH;
#pragma clang loop unroll(full)
        for (int q = 0; q < 3; q++) {
          vec g[3], t[M + 2];
          for (int p = 0; p < 3; p++)
            g[p] = column < outputs ? *(const vec *)(w + ((size_t)(3 * p + q) * channels + c) * outputs + column) : (vec){0};
          CK(winograd_kernel)(M, g, t);
          for (int p = 0; p < M + 2; p++) half[part][p][q] = t[p];
        }
      }
#pragma clang loop unroll(disable)
      for (int p = 0; p < M + 2; p++) {
        float *target = u + (size_t)((M + 2) * p) * point;
        vec t[2][M + 2];
        CK(winograd_kernel)(M, half[0][p], t[0]);
        CK(winograd_kernel)(M, half[1][p], t[1]);
#pragma clang loop unroll(full)
        for (int q = 0; q < M + 2; q++, target += point) *(vec *)target = t[0][q], *(vec *)(target + CK_WIDTH) = t[1][q];
      }
    }
}

CK_INLINE void CK(winograd_weights_pullback)(const int M, size_t channels, size_t outputs, const float *u, float *w) {
  typedef CK(vec) vec;
  const size_t count = channels * outputs;
  for (size_t i = 0; i < count; i += CK_PANEL) {
    vec half[2][3][M + 2];
#pragma clang loop unroll(disable)
    for (int q = 0; q < M + 2; q++) {
      const float *source = u + (size_t)q * count + i;
      vec t[2][M + 2], g[3];
#pragma clang loop unroll(full)
      for (int p = 0; p < M + 2; p++, source += (size_t)(M + 2) * count)
        t[0][p] = *(const vec *)source, t[1][p] = *(const vec *)(source + CK_WIDTH);
#pragma clang loop unroll(full)
      for (int part = 0; part < 2; part++) {
        CK(winograd_kernel_transposed)(M, t[part], g);
        for (int p = 0; p < 3; p++) half[part][p][q] = g[p];
      }
    }
#pragma clang loop unroll(full)
    for (int part = 0; part < 2; part++) {
      const size_t first = i + (size_t)part * CK_WIDTH;
      if (first >= count) break;
#pragma clang loop unroll(full)
      for (int p = 0; p < 3; p++) {
        vec g[3];
        CK(winograd_kernel_transposed)(M, half[part][p], g);
        for (int q = 0; q < 3; q++) CK(store_vector)(w + (size_t)(3 * p + q) * count + first, g[q], count - first);
      }
    }
  }
}

CK_BODY void CK(ck_winograd_weights)(size_t tile, size_t channels, size_t outputs, size_t first, size_t count, const float *w,
                                     float *u) {
  if (tile == 7) CK(winograd_weights)(7, channels, outputs, first, count, w, u);
  else CK(winograd_weights)(4, channels, outputs, first, count, w, u);
}

CK_BODY void CK(ck_winograd_weights_pullback)(size_t tile, size_t channels, size_t outputs, const float *u, float *w) {
  if (tile == 7) CK(winograd_weights_pullback)(7, channels, outputs, u, w);
  else CK(winograd_weights_pullback)(4, channels, outputs, u, w);
}

// The n pixels of a tile's row or column that lie within 0 ..< extent: first ..< end, counted from `at`.
typedef struct { int first, end; } CK(span);

CK_INLINE CK(span) CK(inside)(ptrdiff_t at, size_t extent, int n) {
  const ptrdiff_t end = (ptrdiff_t)extent - at;
  return (CK(span)){at < 0 ? (int)-at : 0, end < n ? (int)(end < 0 ? 0 : end) : n};
}

#define CK_EACH_TILE(w, M, row, column) \
  for (size_t row = (w)->first_row; row < (w)->first_row + (w)->rows; row++) \
    for (size_t column = 0; column < ((w)->out_width + M - 1) / M; column++)

// One tile of N x N pixels, evaluated at (M + 2)^2 points: of the input, or (N = M) of the output's gradient. What of it lies outside
// the image is zero.
//
// Columns and rows are loops, not unrolled: as fast, and a fraction of the code.
CK_INLINE void CK(winograd_evaluate)(const int M, const float *x, size_t row_step, size_t channels, CK(span) rows,
                                     CK(span) columns, const int N, float *v, size_t point) {
  typedef CK(vec) vec;
  const int whole = rows.end - rows.first == N && columns.end - columns.first == N;
  vec window[N][N], half[M + 2][M + 2];
  if (!whole) memset(window, 0, sizeof window);
  for (size_t c = 0; c < channels; c += CK_WIDTH) {
    const float *column = x + c;
    size_t down = row_step, right = channels;
    if (!whole) {
      for (int i = rows.first; i < rows.end; i++)
        for (int j = columns.first; j < columns.end; j++)
          window[i][j] = *(const vec *)(x + (ptrdiff_t)i * (ptrdiff_t)row_step + (ptrdiff_t)j * (ptrdiff_t)channels + c);
      column = (const float *)window, down = (size_t)N * CK_WIDTH, right = CK_WIDTH;
    }
#pragma clang loop unroll(disable)
    for (int j = 0; j < N; j++, column += right) {
      vec d[M + 2], t[M + 2];
#pragma clang loop unroll(full)
      for (int i = 0; i < N; i++) d[i] = *(const vec *)(column + (size_t)i * down);
      if (N > M) CK(winograd_in)(M, d, t);
      else CK(winograd_out_transposed)(M, d, t);
#pragma clang loop unroll(full)
      for (int i = 0; i < M + 2; i++) half[i][j] = t[i];
    }
    float *target = v + c;
#pragma clang loop unroll(disable)
    for (int i = 0; i < M + 2; i++) {
      vec t[M + 2];
      if (N > M) CK(winograd_in)(M, half[i], t);
      else CK(winograd_out_transposed)(M, half[i], t);
#pragma clang loop unroll(full)
      for (int j = 0; j < M + 2; j++, target += point) *(vec *)target = t[j];
    }
  }
}

// The scratch rows of all tiles of images of a size, a tile beginning `padding` before its outputs.
CK_INLINE void CK(winograd_tiles)(const int M, const ck_winograd_args *w, const float *x, size_t height, size_t width,
                                  size_t channels, size_t padding, const int N, float *v, size_t stride, size_t point) {
  if ((w->rows + 1) * M >= height) CK(ck_prefetch)(w->images * height * width * channels, x);
  for (size_t n = 0; n < w->images; n++, x += height * width * channels)
    CK_EACH_TILE(w, M, row, column) {
      const ptrdiff_t y0 = (ptrdiff_t)(M * row) - (ptrdiff_t)padding, x0 = (ptrdiff_t)(M * column) - (ptrdiff_t)padding;
      const CK(span) rows = CK(inside)(y0, height, N), columns = CK(inside)(x0, width, N);
      const float *corner = x + (y0 * (ptrdiff_t)width + x0) * (ptrdiff_t)channels;
      CK(winograd_evaluate)(M, corner, width * channels, channels, rows, columns, N, v, point);
      v += stride;
    }
}

// One tile of outputs from its points, with bias, what is added and clamp.
CK_INLINE void CK(winograd_interpolate)(const int M, const ck_winograd_args *w, const float *m, float *y, const float *added, int rows,
                                        int columns, const int whole) {
  typedef CK(vec) vec;
  // Read once: at every pixel they would be anew, since the compiler does not know that no result lies there.
  const size_t outputs = w->outputs, row_step = w->out_width * outputs, point = w->output_point;
  const int relu = w->relu;
  for (size_t c = 0; c < w->count; c += CK_WIDTH) {
    const size_t valid = w->count - c;
    vec half[M + 2][M], bias = {0};
    if (w->bias) bias = CK(load_vector)(w->bias + w->first_output + c, valid);
    const float *source = m + c;
#pragma clang loop unroll(disable)
    for (int i = 0; i < M + 2; i++) {
      vec t[M + 2];
#pragma clang loop unroll(full)
      for (int j = 0; j < M + 2; j++, source += point) t[j] = *(const vec *)source;
      CK(winograd_out)(M, t, half[i]);
    }
#pragma clang loop unroll(disable)
    for (int j = 0; j < columns; j++) {
      vec t[M + 2], g[M];
#pragma clang loop unroll(full)
      for (int i = 0; i < M + 2; i++) t[i] = half[i][j];
      CK(winograd_out)(M, t, g);
      size_t place = (size_t)j * outputs + c;
#pragma clang loop unroll(full)
      for (int i = 0; i < M; i++, place += row_step) {
        if (!whole && i >= rows) break;
        vec value = g[i] + bias;
        if (added) value += CK(load_vector)(added + place, whole ? CK_WIDTH : valid);
        if (relu) value = CK(rectified)(value);
        if (whole) *(vec *)(y + place) = value;
        else CK(store_vector)(y + place, value, valid);
      }
    }
  }
}

// Outputs from scratch rows.
CK_INLINE void CK(winograd_tiles_out)(const int M, const ck_winograd_args *w, const float *m, float *y) {
  for (size_t n = 0; n < w->images; n++)
    CK_EACH_TILE(w, M, row, column) {
      const size_t corner = ((n * w->out_height + M * row) * w->out_width + M * column) * w->outputs + w->first_output;
      const float *added = w->added ? w->added + corner : NULL;
      const int rows = CK(inside)((ptrdiff_t)(M * row), w->out_height, M).end;
      const int columns = CK(inside)((ptrdiff_t)(M * column), w->out_width, M).end;
      const int whole = rows == M && columns == M && w->count % CK_WIDTH == 0;
      if (whole) CK(winograd_interpolate)(M, w, m, y + corner, added, M, M, 1);
      else CK(winograd_interpolate)(M, w, m, y + corner, added, rows, columns, 0);
      m += w->output_stride;
    }
}

CK_INLINE void CK(winograd_tiles_in)(const int M, const ck_winograd_args *w, const float *x) {
  CK(winograd_tiles)(M, w, x, w->height, w->width, w->channels, w->padding, M + 2, w->input_scratch, w->input_stride,
                     w->input_point);
}

CK_INLINE void CK(winograd)(const int M, const ck_winograd_args *w, const float *x, const float *u, float *y) {
  CK(winograd_tiles_in)(M, w, x);
  for (size_t point = 0; point < (size_t)((M + 2) * (M + 2)); point++) {
    const ck_gather_product_args product = {
        .rows = w->tiles, .columns = w->count, .depth = w->channels,
        .a = w->input_scratch + point * w->input_point, .row_offsets = w->input_rows,
        .depth_offsets = w->counting, .b = u + point * w->panels * CK_PANEL * w->channels,
        .b_panel = w->channels * CK_PANEL,
        .c = w->output_scratch + point * w->output_point, .c_offsets = w->output_rows};
    CK(gather_product)(&product, CK_CONTIGUOUS);
  }
  CK(winograd_tiles_out)(M, w, w->output_scratch, y);
}

CK_INLINE void CK(winograd_pullback)(const int M, const ck_winograd_args *w, const float *x, const float *dy, int adds, float *du) {
  CK(winograd_tiles_in)(M, w, x);
  CK(winograd_tiles)(M, w, dy, w->out_height, w->out_width, w->outputs, 0, M, w->output_scratch, w->output_stride,
                     w->output_point);
  for (size_t point = 0; point < (size_t)((M + 2) * (M + 2)); point++) {
    const ck_gather_product_args product = {
        .rows = w->channels, .columns = w->outputs, .depth = w->tiles,
        .a = w->input_scratch + point * w->input_point, .row_offsets = w->counting,
        .depth_offsets = w->input_rows, .b = w->output_scratch + point * w->output_point,
        .b_stride = w->output_stride, .c = du + point * w->channels * w->outputs,
        .c_offsets = w->weight_rows, .added = adds ? du + point * w->channels * w->outputs : NULL};
    CK(ck_gather_product)(&product);
  }
}

CK_BODY void CK(ck_winograd)(const ck_winograd_args *w, const float *x, const float *u, float *y) {
  if (w->tile == 7) CK(winograd)(7, w, x, u, y);
  else CK(winograd)(4, w, x, u, y);
}

CK_BODY void CK(ck_winograd_pullback)(const ck_winograd_args *w, const float *x, const float *dy, int adds, float *du) {
  if (w->tile == 7) CK(winograd_pullback)(7, w, x, dy, adds, du);
  else CK(winograd_pullback)(4, w, x, dy, adds, du);
}

#undef CK_EACH_TILE
