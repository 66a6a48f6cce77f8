// Reductions. A long sum is taken in blocks of 128, so that the rounding error grows with
// (128 + length / 128) rather than with the length.
#define CK_BLOCK 128

CK_INLINE float CK(row_sum)(size_t n, const float *x) {
#pragma clang fp reassociate(on)
  float total = 0;
  for (size_t i = 0; i < n; i += 16 * CK_BLOCK) {
    const size_t m = n - i < 16 * CK_BLOCK ? n - i : 16 * CK_BLOCK;
    float part = 0;
    for (size_t j = 0; j < m; j++) part += x[i + j];
    total += part;
  }
  return total;
}

CK_BODY void CK(ck_reduce)(ck_reduce_op op, size_t outer, size_t length, size_t inner,
                           const float *x, float *y) {
  for (size_t o = 0; o < outer; o++, x += length * inner, y += inner) {
    if (op == CK_SUM) {
      if (inner == 1) { *y = CK(row_sum)(length, x); continue; }
      for (size_t i = 0; i < inner; i++) y[i] = 0;
      for (size_t i = 0; i < inner; i += CK_BLOCK) {
        const size_t m = inner - i < CK_BLOCK ? inner - i : CK_BLOCK;
        for (size_t r = 0; r < length; r += CK_BLOCK) {
          const size_t end = length - r < CK_BLOCK ? length : r + CK_BLOCK;
          float part[CK_BLOCK] = {0};
          for (size_t q = r; q < end; q++)
            for (size_t j = 0; j < m; j++) part[j] += x[q * inner + i + j];
          for (size_t j = 0; j < m; j++) y[i + j] += part[j];
        }
      }
    } else {
      for (size_t i = 0; i < inner; i++) y[i] = x[i];
      for (size_t r = 1; r < length; r++)
        for (size_t i = 0; i < inner; i++) {
          const float v = x[r * inner + i];
          const int take = op == CK_MAX ? v > y[i] : v < y[i];
          y[i] = take || v != v ? v : y[i];
        }
    }
  }
}

CK_BODY void CK(ck_softmax)(size_t rows, size_t columns, const float *x, int logarithm, float *y) {
  for (size_t r = 0; r < rows; r++, x += columns, y += columns) {
    // What is no number is not the largest.
    CK(lanes) most = CK(constant)(-INFINITY);
    for (size_t c = 0; c + CK_LANES <= columns; c += CK_LANES) {
      const CK(lanes) v = *(const CK(lanes) *)(x + c);
      most = CK(chosen)(v > most, v, most);
    }
    float largest = -INFINITY;
    for (size_t c = columns / CK_LANES * CK_LANES; c < columns; c++) largest = x[c] > largest ? x[c] : largest;
    for (int k = 0; k < CK_LANES; k++) largest = most[k] > largest ? most[k] : largest;
    for (size_t c = 0; c < columns; c += CK_LANES) {
      // What is far below is nothing, not the smallest number; what is no number stays so.
      const CK(lanes) v = CK(load_lanes)(x + c, columns - c) - largest;
      const CK(lanes) e = CK(chosen)(v < CK(constant)(-87.3365447505531f), (CK(lanes)){0}, CK(normal_exponential)(v));
      CK(store_lanes)(y + c, e, columns - c);
    }
    const float sum = CK(row_sum)(columns, y);
    const float scale = 1 / sum, shift = largest + logf(sum);
    if (logarithm) for (size_t c = 0; c < columns; c++) y[c] = x[c] - shift;
    else for (size_t c = 0; c < columns; c++) y[c] *= scale;
  }
}

// Rows made of mean 0 and variance 1, times scale plus shift.
CK_BODY void CK(ck_layer_norm)(size_t rows, size_t columns, const float *x, float epsilon, const float *scale,
                               const float *shift, float *y) {
  for (size_t r = 0; r < rows; r++, x += columns, y += columns) {
    const float mean = CK(row_sum)(columns, x) / (float)columns;
    for (size_t c = 0; c < columns; c++) { const float d = x[c] - mean; y[c] = d * d; }
    const float inverse = 1 / sqrtf(CK(row_sum)(columns, y) / (float)columns + epsilon);
    for (size_t c = 0; c < columns; c++) y[c] = (x[c] - mean) * inverse * scale[c] + shift[c];
  }
}
#undef CK_BLOCK
