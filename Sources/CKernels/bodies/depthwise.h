// Convolutions of each channel by a kernel of its own.
//
// Two vectors of channels at a time, one where no more are left: what a strip of rows reads of them is laid together with the
// zeros around it, so that it stays in the cache whatever the distance of pixels is, and the sums of some outputs of a row
// never leave registers.

#define CK_SUMS 12

// The sums of R outputs in V vectors of channels; a stride that is known makes their addresses fixed distances.
CK_INLINE void CK(depthwise_tile)(const ck_depthwise_args *p, size_t span, const float *window, const float *w,
                                  const float *bias, float *y, size_t count, const int R, const int V, size_t stride) {
  typedef CK(vec) vec;
  vec sum[CK_SUMS][2];
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) sum[r][v] = (vec){0};
  const size_t wide = V * CK_WIDTH, step = stride * wide, kernel_width = p->kernel_width, channels = p->channels;
  const size_t kernel_height = p->kernel_height, dilation = p->dilation;
  for (size_t i = 0; i < kernel_height; i++)
    for (size_t j = 0; j < kernel_width; j++, w += wide) {
      const float *a = window + (i * span + j) * dilation * wide;
      vec tap[2];
#pragma clang loop unroll(full)
      for (int v = 0; v < V; v++) tap[v] = *(const vec *)(w + v * CK_WIDTH);
#pragma clang loop unroll(full)
      for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) sum[r][v] += *(const vec *)(a + r * step + v * CK_WIDTH) * tap[v];
    }
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) {
      vec value = sum[r][v];
      if (p->bias) value += *(const vec *)(bias + v * CK_WIDTH);
      if (p->relu) value = CK(rectified)(value);
      if (count > (size_t)v * CK_WIDTH)
        CK(store_vector)(y + r * channels + v * CK_WIDTH, value, count - v * CK_WIDTH);
    }
}

// Rows of sums of what a strip lays together.
CK_INLINE void CK(depthwise_rows)(const ck_depthwise_args *p, size_t span, size_t rows, const float *images,
                                  const float *weights, const float *bias, float *y, size_t count, const int V,
                                  size_t stride) {
  // Columns are dealt out evenly: the first tiles have one more than the others where they do not come out.
  const size_t wide = V * CK_WIDTH, most = CK_SUMS / V, tiles = (p->columns + most - 1) / most;
  const size_t each = p->columns / tiles, longer = p->columns % tiles;
  for (size_t row = 0; row < rows; row++) {
    const float *window = images + row * span * stride * wide;
    float *result = y + row * p->columns * p->channels;
    for (size_t t = 0; t < tiles; t++) {
      const size_t outputs = each + (t < longer);
#define CK_TILE(R) case R: CK(depthwise_tile)(p, span, window, weights, bias, result, count, R, V, stride); break;
      switch (outputs) { CK_TILE(1) CK_TILE(2) CK_TILE(3) CK_TILE(4) CK_TILE(5) CK_TILE(6) }
      if (V == 1) switch (outputs) { CK_TILE(7) CK_TILE(8) CK_TILE(9) CK_TILE(10) CK_TILE(11) CK_TILE(12) }
#undef CK_TILE
      window += outputs * stride * wide;
      result += outputs * p->channels;
    }
  }
}

// The channels of a strip from `c` on that V vectors hold.
CK_INLINE void CK(depthwise_strip)(const ck_depthwise_args *p, size_t first, size_t rows, size_t c, const float *x, float *y,
                                   float *scratch, const int V) {
  typedef CK(vec) vec;
  const size_t wide = V * CK_WIDTH, taps = p->kernel_height * p->kernel_width, channels = p->channels;
  const size_t span = (p->columns - 1) * p->stride + (p->kernel_width - 1) * p->dilation + 1;
  const size_t deep = (rows - 1) * p->stride + (p->kernel_height - 1) * p->dilation + 1;
  float *weights = scratch + deep * span * wide, *bias = weights + taps * wide;
  // The columns of the image that are read.
  const size_t before = p->padding < span ? p->padding : span;
  const size_t inside = span - before < p->width ? span - before : p->width;
  const size_t count = p->channels - c < wide ? p->channels - c : wide;
  for (size_t q = 0; q < deep; q++) {
    float *line = scratch + q * span * wide;
    const size_t row = first * p->stride + q;
    if (row < p->padding || row - p->padding >= p->height) {
      memset(line, 0, span * wide * sizeof(float));
      continue;
    }
    memset(line, 0, before * wide * sizeof(float));
    const float *from = x + (row - p->padding) * p->width * p->channels + c;
    line += before * wide;
    // Of the last channels whole vectors too: what is beside them is not stored. Pixels further on are fetched meanwhile: of many
    // channels no hardware foresees the next one.
    for (size_t k = 0; k < inside; k++, line += wide, from += channels) {
      __builtin_prefetch(from + 8 * channels);
#pragma clang loop unroll(full)
      for (int v = 0; v < V; v++) *(vec *)(line + v * CK_WIDTH) = *(const vec *)(from + v * CK_WIDTH);
    }
    memset(line, 0, (span - before - inside) * wide * sizeof(float));
  }
  for (size_t t = 0; t <= taps; t++) {
    const float *from = t < taps ? p->weight + t * p->channels + c : p->bias ? p->bias + c : NULL;
    if (!from) continue;
    for (int v = 0; v < V; v++) {
      const size_t rest = count > (size_t)v * CK_WIDTH ? count - v * CK_WIDTH : 0;
      *(vec *)(weights + t * wide + v * CK_WIDTH) = CK(load_vector)(from + v * CK_WIDTH, rest);
    }
  }
  if (p->stride == 1) CK(depthwise_rows)(p, span, rows, scratch, weights, bias, y + c, count, V, 1);
  else CK(depthwise_rows)(p, span, rows, scratch, weights, bias, y + c, count, V, p->stride);
}

#define CK_STRIP(V) \
  CK_BODY static __attribute__((noinline)) void CK(depthwise_##V)(const ck_depthwise_args *p, size_t first, size_t rows, \
                                                                  size_t c, const float *x, float *y, float *scratch) { \
    CK(depthwise_strip)(p, first, rows, c, x, y, scratch, V); \
  }
CK_STRIP(1) CK_STRIP(2)
#undef CK_STRIP

CK_BODY void CK(ck_depthwise)(const ck_depthwise_args *p, size_t first, size_t rows, const float *x, float *y,
                              float *scratch) {
  for (size_t c = p->first; c < p->end; c += 2 * CK_WIDTH)
    (p->channels - c > CK_WIDTH ? CK(depthwise_2) : CK(depthwise_1))(p, first, rows, c, x, y, scratch);
}
#undef CK_SUMS
