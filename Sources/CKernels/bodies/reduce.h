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
    float largest = -INFINITY, sum = 0;
    for (size_t c = 0; c < columns; c++) largest = x[c] > largest ? x[c] : largest;
    for (size_t c = 0; c < columns; c += CK_WIDTH) {
      // What is far below is nothing, not the smallest number; what is no number stays so.
      const CK(vec) v = CK(load_vector)(x + c, columns - c) - largest;
      const CK(vec) e = CK(chosen)(v < CK(constant)(-87.3365447505531f), (CK(vec)){0}, CK(normal_exponential)(v));
      CK(store_vector)(y + c, e, columns - c);
    }
    sum = CK(row_sum)(columns, y);
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
