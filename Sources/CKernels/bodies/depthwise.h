// Convolutions of each channel by a kernel of its own.
//
// Two vectors of channels at a time: what a strip of rows reads of them is laid together with the zeros around it, so that it
// stays in the cache whatever the distance of pixels is, and the sums of some outputs of a row never leave registers.

#define CK_DEPTHWISE 6

CK_INLINE void CK(depthwise_tile)(const ck_depthwise_args *p, size_t span, const float *window, const float *w,
                                  const float *bias, float *y, size_t count, const int R) {
  typedef CK(vec) vec;
  vec sum[CK_DEPTHWISE][2];
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++) sum[r][0] = sum[r][1] = (vec){0};
  const size_t step = p->stride * 2 * CK_WIDTH;
  for (size_t i = 0; i < p->kernel_height; i++)
    for (size_t j = 0; j < p->kernel_width; j++, w += 2 * CK_WIDTH) {
      const vec w0 = *(const vec *)w, w1 = *(const vec *)(w + CK_WIDTH);
      const float *a = window + (i * span + j) * p->dilation * 2 * CK_WIDTH;
#pragma clang loop unroll(full)
      for (int r = 0; r < R; r++) {
        sum[r][0] += *(const vec *)(a + r * step) * w0;
        sum[r][1] += *(const vec *)(a + r * step + CK_WIDTH) * w1;
      }
    }
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < 2; v++) {
      vec value = sum[r][v];
      if (p->bias) value += *(const vec *)(bias + v * CK_WIDTH);
      if (p->relu) value = CK(rectified)(value);
      if (count > (size_t)v * CK_WIDTH)
        CK(store_vector)(y + r * p->channels + v * CK_WIDTH, value, count - v * CK_WIDTH);
    }
}

CK_BODY void CK(ck_depthwise)(const ck_depthwise_args *p, size_t first, size_t rows, const float *x, float *y,
                              float *scratch) {
  typedef CK(vec) vec;
  const size_t wide = 2 * CK_WIDTH, taps = p->kernel_height * p->kernel_width;
  const size_t span = (p->columns - 1) * p->stride + (p->kernel_width - 1) * p->dilation + 1;
  const size_t deep = (rows - 1) * p->stride + (p->kernel_height - 1) * p->dilation + 1;
  float *weights = scratch + deep * span * wide, *bias = weights + taps * wide;
  // The columns of the image that are read.
  const size_t before = p->padding < span ? p->padding : span;
  const size_t inside = span - before < p->width ? span - before : p->width;
  for (size_t c = p->first; c < p->end; c += wide) {
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
      // Of the last channels whole vectors too: what is beside them is not stored.
      for (size_t k = 0; k < inside; k++, line += wide, from += p->channels) {
        *(vec *)line = *(const vec *)from;
        *(vec *)(line + CK_WIDTH) = *(const vec *)(from + CK_WIDTH);
      }
      memset(line, 0, (span - before - inside) * wide * sizeof(float));
    }
    const size_t second = count > CK_WIDTH ? count - CK_WIDTH : 0;
    for (size_t t = 0; t <= taps; t++) {
      const float *from = t < taps ? p->weight + t * p->channels + c : p->bias ? p->bias + c : NULL;
      if (!from) continue;
      *(vec *)(weights + t * wide) = CK(load_vector)(from, count);
      *(vec *)(weights + t * wide + CK_WIDTH) = CK(load_vector)(from + CK_WIDTH, second);
    }
    // Columns are dealt out evenly.
    const size_t tiles = (p->columns + CK_DEPTHWISE - 1) / CK_DEPTHWISE;
    for (size_t row = 0; row < rows; row++)
      for (size_t t = 0, column = 0; t < tiles; t++) {
        const size_t end = p->columns * (t + 1) / tiles;
        const float *window = scratch + (row * span + column) * p->stride * wide;
        float *result = y + (row * p->columns + column) * p->channels + c;
#define CK_TILE(R) case R: CK(depthwise_tile)(p, span, window, weights, bias, result, count, R); break;
        switch (end - column) { CK_TILE(1) CK_TILE(2) CK_TILE(3) CK_TILE(4) CK_TILE(5) CK_TILE(6) }
#undef CK_TILE
        column = end;
      }
  }
}
#undef CK_DEPTHWISE
