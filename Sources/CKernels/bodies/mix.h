// Square mixing of vectors: y[p, k, c] = sum over r of m[k, r] * x[p, r, c], the group's Fourier transform at each of some positions.
//
// Tiles of K results by V vectors of channels stay in registers, while r goes by in order.
CK_INLINE void CK(mix_tile)(size_t order, size_t channels, const float *m, const float *x, float *y, const float *bias, int relu,
                            size_t valid, const int K, const int V) {
  typedef CK(vec) vec;
  vec sum[8][2];
#define CK_COUNT(v) (valid > (size_t)(v) * CK_WIDTH ? valid - (size_t)(v) * CK_WIDTH : 0)
#pragma clang loop unroll(full)
  for (int k = 0; k < K; k++)
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++)
      sum[k][v] = bias ? CK(load_vector)(bias + (size_t)k * channels + v * CK_WIDTH, CK_COUNT(v)) : (vec){0};
  for (size_t r = 0; r < order; r++, x += channels, m++) {
    vec xv[2];
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) xv[v] = CK(load_vector)(x + v * CK_WIDTH, CK_COUNT(v));
#pragma clang loop unroll(full)
    for (int k = 0; k < K; k++) {
      const float s = m[(size_t)k * order];
#pragma clang loop unroll(full)
      for (int v = 0; v < V; v++) sum[k][v] += xv[v] * s;
    }
  }
#pragma clang loop unroll(full)
  for (int k = 0; k < K; k++)
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++)
      CK(store_vector)(y + (size_t)k * channels + v * CK_WIDTH, relu ? CK(rectified)(sum[k][v]) : sum[k][v], CK_COUNT(v));
#undef CK_COUNT
}

CK_INLINE void CK(mix_columns)(size_t order, size_t channels, const float *m, const float *x, float *y, const float *bias, int relu,
                               size_t valid, const int V) {
  size_t k = 0;
#define CK_MIX(K) \
  for (; k + (K) <= order; k += (K)) \
    CK(mix_tile)(order, channels, m + k * order, x, y + k * channels, bias ? bias + k * channels : NULL, relu, valid, K, V);
  if (V == 1) { CK_MIX(8) }
  CK_MIX(4)
  CK_MIX(1)
#undef CK_MIX
}

CK_BODY void CK(ck_mix)(size_t rows, size_t order, size_t channels, const float *m, const float *x, size_t x_step, float *y,
                        size_t y_step, const float *bias, int relu) {
  for (size_t p = 0; p < rows; p++, x += x_step, y += y_step) {
    size_t c = 0;
    // A constant number of valid columns makes plain loads of them.
    for (; c + 2 * CK_WIDTH <= channels; c += 2 * CK_WIDTH)
      CK(mix_columns)(order, channels, m, x + c, y + c, bias ? bias + c : NULL, relu, 2 * CK_WIDTH, 2);
    for (; c + CK_WIDTH <= channels; c += CK_WIDTH)
      CK(mix_columns)(order, channels, m, x + c, y + c, bias ? bias + c : NULL, relu, CK_WIDTH, 1);
    if (c < channels) CK(mix_columns)(order, channels, m, x + c, y + c, bias ? bias + c : NULL, relu, channels - c, 1);
  }
}
