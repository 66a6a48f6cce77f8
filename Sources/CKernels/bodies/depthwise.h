// Convolutions of each channel by a kernel of its own: vectors of channels, four outputs of a row at a
// time, so that a tap's weights are loaded once for all four.

CK_INLINE void CK(depthwise_tile)(const ck_depthwise_args *p, const float *x, float *y, size_t c,
                                  const int R) {
  typedef CK(vec) vec;
  vec sum[4];
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++) sum[r] = (vec){0};
  const size_t step = p->stride * p->channels;
  for (size_t i = 0; i < p->kernel_height; i++)
    for (size_t j = 0; j < p->kernel_width; j++) {
      const vec w = *(const vec *)(p->weight + (i * p->kernel_width + j) * p->channels + c);
      const float *a = x + (i * p->width + j) * p->dilation * p->channels + c;
#pragma clang loop unroll(full)
      for (int r = 0; r < R; r++) sum[r] += *(const vec *)(a + r * step) * w;
    }
  vec bias = (vec){0};
  if (p->bias)
    for (size_t j = 0; j < CK_WIDTH && c + j < p->channels; j++) bias[j] = p->bias[c + j];
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++) {
    vec v = sum[r];
    if (p->bias) v += bias;
    if (p->relu) v = CK(rectified)(v);
    CK(store_vector)(y + r * p->channels + c, v, p->channels - c);
  }
}

CK_BODY void CK(ck_depthwise)(const ck_depthwise_args *p, const float *x, float *y) {
  for (size_t row = 0; row < p->rows; row++, x += p->stride * p->width * p->channels)
    for (size_t column = 0; column < p->columns;) {
      const int isWhole = p->columns - column >= 4;
      const float *window = x + column * p->stride * p->channels;
      float *result = y + (row * p->columns + column) * p->channels;
      for (size_t c = 0; c < p->channels; c += CK_WIDTH)
        if (isWhole) CK(depthwise_tile)(p, window, result, c, 4);
        else CK(depthwise_tile)(p, window, result, c, 1);
      column += isWhole ? 4 : 1;
    }
}
