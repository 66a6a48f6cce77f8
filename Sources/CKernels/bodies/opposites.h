// The convolution with filters of which half are the others turned by half a turn: see ck_opposites_args in ckernels.h.
//
// A pixel's neighbors come in pairs, s their sum and d their difference. With e and o, the filters' means with their opposites and half
// of what they differ by, both sums over a pair are e * s + o * d and e * s - o * d: two products for four.

// A tile: R pixels by two vectors of filters, each with its opposite. The neighbors in pairs lie `step` apart, `channels` numbers each.
CK_INLINE void CK(opposites_tile)(const ck_opposites_args *p, const float *sums, const float *differences, size_t step,
                                  const float *center, const float *even, const float *odd, const float *bias, float *y,
                                  const int R, const size_t channels) {
  typedef CK(vec) vec;
  vec e[CK_ROWS / 2][2], o[CK_ROWS / 2][2];
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++) e[r][0] = e[r][1] = o[r][0] = o[r][1] = (vec){0};
// One number of each pixel, times the filters' of it.
#define CK_STEP(b, x, sum) \
  { \
    const vec b0 = *(const vec *)(b), b1 = *(const vec *)((b) + CK_WIDTH); \
    _Pragma("clang loop unroll(full)") for (int r = 0; r < R; r++) { \
      const float value = (x)[(size_t)r * channels]; \
      sum[r][0] += b0 * value; \
      CK_IN_ORDER(sum[r][0]); \
      sum[r][1] += b1 * value; \
      CK_IN_ORDER(sum[r][1]); \
    } \
  }
  for (size_t pair = 0; pair < p->kernel * p->kernel / 2; pair++, sums += step, differences += step)
    for (size_t c = 0; c < channels; c++, even += CK_PANEL, odd += CK_PANEL) {
      CK_STEP(even, sums + c, e)
      CK_STEP(odd, differences + c, o)
    }
  if (p->kernel % 2)
    for (size_t c = 0; c < channels; c++, even += CK_PANEL) CK_STEP(even, center + c, e)
#undef CK_STEP
  const size_t outputs = 2 * p->blocks * p->half;
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++, y += outputs)
#pragma clang loop unroll(full)
    for (int v = 0; v < 2; v++) {
      const size_t column = (size_t)v * CK_WIDTH, opposite = column + p->half;
      vec one = e[r][v] + o[r][v], other = e[r][v] - o[r][v];
      if (bias) one += *(const vec *)(bias + column), other += *(const vec *)(bias + opposite);
      if (p->relu) one = CK(rectified)(one), other = CK(rectified)(other);
      *(vec *)(y + column) = one, *(vec *)(y + opposite) = other;
    }
}

// The pixels of a row, for a panel of filters: as many in each tile, as nearly as can be.
CK_INLINE void CK(opposites_row)(const ck_opposites_args *p, const float *sums, const float *differences, size_t step,
                                 const float *center, const float *even, const float *odd, const float *bias, float *y,
                                 const size_t channels) {
  const size_t most = CK_ROWS / 2, count = (p->out_width + most - 1) / most, least = p->out_width / count;
  for (size_t tile = 0, pixel = 0; tile < count; tile++) {
    const size_t size = least + (tile < p->out_width - least * count), at = pixel * channels;
#define CK_TILE(R) \
  case R: \
    CK(opposites_tile)(p, sums + at, differences + at, step, center + at, even, odd, bias, y + pixel * 2 * p->blocks * p->half, R, \
                       channels); \
    break;
    switch (size) {
      CK_TILE(1) CK_TILE(2)
#if CK_ROWS > 4
      CK_TILE(3)
#endif
#if CK_ROWS > 6
      CK_TILE(4) CK_TILE(5) CK_TILE(6) CK_TILE(7)
#endif
    }
#undef CK_TILE
    pixel += size;
  }
}

CK_BODY void CK(ck_opposites)(const ck_opposites_args *p, size_t rows, const float *x, float *y, float *scratch) {
  typedef CK(vec) vec;
  const size_t taps = p->kernel * p->kernel, row = p->width * p->channels, count = p->out_width * p->channels;
  const size_t step = (count + CK_WIDTH - 1) / CK_WIDTH * CK_WIDTH;
  float *const sums = scratch, *const differences = scratch + taps / 2 * step;
  for (size_t n = 0; n < rows; n++, x += row, y += p->out_width * 2 * p->blocks * p->half) {
    for (size_t tap = 0; tap < taps / 2; tap++) {
      const size_t other = taps - 1 - tap;
      const float *const a = x + tap / p->kernel * row + tap % p->kernel * p->channels;
      const float *const b = x + other / p->kernel * row + other % p->kernel * p->channels;
      for (size_t i = 0; i < count; i += CK_WIDTH) {
        const vec u = CK(load_vector)(a + i, count - i), v = CK(load_vector)(b + i, count - i);
        *(vec *)(sums + tap * step + i) = u + v, *(vec *)(differences + tap * step + i) = u - v;
      }
    }
    const float *const center = x + p->kernel / 2 * row + p->kernel / 2 * p->channels;
    const size_t panels = p->half / CK_PANEL, pairs = taps / 2 * p->channels * CK_PANEL;
    for (size_t panel = 0; panel < p->blocks * panels; panel++) {
      const size_t column = panel / panels * 2 * p->half + panel % panels * CK_PANEL;
      const float *const even = p->even + panel * (pairs + taps % 2 * p->channels * CK_PANEL), *const odd = p->odd + panel * pairs;
      const float *const bias = p->bias ? p->bias + column : NULL;
      if (p->channels == 1) CK(opposites_row)(p, sums, differences, step, center, even, odd, bias, y + column, 1);
      else CK(opposites_row)(p, sums, differences, step, center, even, odd, bias, y + column, p->channels);
    }
  }
}
