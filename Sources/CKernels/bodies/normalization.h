// Batch normalization over the rows of [rows, columns]; callers split the rows into fixed blocks
// and combine the partial sums in order, in double.
//
// Columns are taken a few vectors at a time, so that what belongs to a column stays in registers.

#define CK_STRIP 4  // vectors of columns taken together

// What belongs to one strip's columns; `count` of them are real, the others zero.
typedef struct { CK(vec) at[CK_STRIP]; } CK(strip);

CK_INLINE CK(strip) CK(load_strip)(const float *p, size_t count) {
  CK(strip) s;
  for (size_t v = 0; v < CK_STRIP; v++)
    s.at[v] = CK(load_vector)(p + v * CK_WIDTH, count > v * CK_WIDTH ? count - v * CK_WIDTH : 0);
  return s;
}

CK_INLINE void CK(store_strip)(float *p, const CK(strip) *s, size_t count) {
  for (size_t v = 0; v * CK_WIDTH < count && v < CK_STRIP; v++)
    CK(store_vector)(p + v * CK_WIDTH, s->at[v], count - v * CK_WIDTH);
}

// dy where x * scale + shift > 0, else 0.
CK_INLINE CK(vec) CK(clamped)(CK(vec) dy, CK(vec) x, CK(vec) scale, CK(vec) shift) {
  const CK(vec) y = x * scale + shift;
  return (CK(vec))((CK(ivec))dy & (y > 0));
}

CK_INLINE void CK(moments_strip)(size_t rows, size_t columns, const float *x, const float *pivot, float *sum,
                                 float *square, size_t count, const int V) {
  const CK(strip) p = CK(load_strip)(pivot, count);
  CK(strip) s = {0}, q = {0};
  for (size_t r = 0; r < rows; r++, x += columns)
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) {
      const CK(vec) d = *(const CK(vec) *)(x + v * CK_WIDTH) - p.at[v];
      s.at[v] += d;
      q.at[v] += d * d;
    }
  CK(store_strip)(sum, &s, count);
  CK(store_strip)(square, &q, count);
}

CK_INLINE void CK(gradient_sums_strip)(size_t rows, size_t columns, const float *x, const float *dy,
                                       const float *mean, const float *scale, const float *shift,
                                       const int relu, float *sum, float *product, size_t count,
                                       const int V) {
  const CK(strip) m = CK(load_strip)(mean, count), a = CK(load_strip)(scale, count);
  const CK(strip) b = CK(load_strip)(shift, count);
  CK(strip) s = {0}, p = {0};
  for (size_t r = 0; r < rows; r++, x += columns, dy += columns)
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) {
      const CK(vec) value = *(const CK(vec) *)(x + v * CK_WIDTH);
      CK(vec) g = *(const CK(vec) *)(dy + v * CK_WIDTH);
      if (relu) g = CK(clamped)(g, value, a.at[v], b.at[v]);
      s.at[v] += g;
      p.at[v] += g * (value - m.at[v]);
    }
  CK(store_strip)(sum, &s, count);
  CK(store_strip)(product, &p, count);
}

CK_INLINE void CK(gradient_strip)(size_t rows, size_t columns, const float *x, const float *dy,
                                  const float *mean, const float *scale, const float *shift,
                                  const int relu, const float *product, const float *offset, float *dx,
                                  size_t count, const int V) {
  const CK(strip) m = CK(load_strip)(mean, count), a = CK(load_strip)(scale, count);
  const CK(strip) t = CK(load_strip)(shift, count), b = CK(load_strip)(product, count);
  const CK(strip) d = CK(load_strip)(offset, count);
  for (size_t r = 0; r < rows; r++, x += columns, dy += columns, dx += columns)
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) {
      const CK(vec) value = *(const CK(vec) *)(x + v * CK_WIDTH);
      CK(vec) g = *(const CK(vec) *)(dy + v * CK_WIDTH);
      if (relu) g = CK(clamped)(g, value, a.at[v], t.at[v]);
      CK(store_vector)(dx + v * CK_WIDTH, a.at[v] * g + b.at[v] * (value - m.at[v]) + d.at[v],
                       count - (size_t)v * CK_WIDTH);
    }
}

// A constant number of vectors gives the compiler registers to keep: 4, 2 or 1 at a time.
#define CK_STRIPS(call) \
  for (size_t c = 0; c < columns;) { \
    const size_t count = columns - c; \
    if (count >= 4 * CK_WIDTH) { const int V = 4; call; c += 4 * CK_WIDTH; } \
    else if (count >= 2 * CK_WIDTH) { const int V = 2; call; c += 2 * CK_WIDTH; } \
    else { const int V = 1; call; c += CK_WIDTH; } \
  }
#define CK_COUNT (count < (size_t)V * CK_WIDTH ? count : (size_t)V * CK_WIDTH)

CK_BODY void CK(ck_moments)(size_t rows, size_t columns, const float *x, const float *pivot,
                            float *sum, float *square) {
  CK_STRIPS(CK(moments_strip)(rows, columns, x + c, pivot + c, sum + c, square + c, CK_COUNT, V))
}

CK_BODY void CK(ck_scale_shift)(size_t rows, size_t columns, const float *x, const float *scale,
                                const float *shift, int relu, float *y, size_t step) {
  for (size_t r = 0; r < rows; r++, x += columns, y += step) {
    if (relu) for (size_t c = 0; c < columns; c++) { const float v = x[c] * scale[c] + shift[c]; y[c] = v <= 0 ? 0 : v; }
    else for (size_t c = 0; c < columns; c++) y[c] = x[c] * scale[c] + shift[c];
  }
}

CK_BODY void CK(ck_norm_gradient_sums)(size_t rows, size_t columns, const float *x, const float *dy,
                                       const float *mean, const float *scale, const float *shift,
                                       int relu, float *sum, float *product) {
#define CK_CALL(relu) \
  CK(gradient_sums_strip)(rows, columns, x + c, dy + c, mean + c, scale + c, shift + c, relu, sum + c, product + c, CK_COUNT, V)
  if (relu) CK_STRIPS(CK_CALL(1))
  else CK_STRIPS(CK_CALL(0))
#undef CK_CALL
}

CK_BODY void CK(ck_norm_gradient)(size_t rows, size_t columns, const float *x, const float *dy,
                                  const float *mean, const float *scale, const float *shift, int relu,
                                  const float *product, const float *offset, float *dx) {
#define CK_CALL(relu) \
  CK(gradient_strip)(rows, columns, x + c, dy + c, mean + c, scale + c, shift + c, relu, product + c, offset + c, dx + c, CK_COUNT, V)
  if (relu) CK_STRIPS(CK_CALL(1))
  else CK_STRIPS(CK_CALL(0))
#undef CK_CALL
}
#undef CK_STRIPS
#undef CK_COUNT
#undef CK_STRIP
