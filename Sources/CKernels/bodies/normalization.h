// Batch normalization over the rows of [rows, columns]; callers split the rows into fixed blocks
// and combine the partial sums in order, in double.

CK_BODY void CK(ck_moments)(size_t rows, size_t columns, const float *x, const float *pivot,
                            float *sum, float *square) {
  for (size_t c = 0; c < columns; c++) sum[c] = square[c] = 0;
  for (size_t r = 0; r < rows; r++, x += columns)
    for (size_t c = 0; c < columns; c++) {
      const float d = x[c] - pivot[c];
      sum[c] += d;
      square[c] += d * d;
    }
}

CK_BODY void CK(ck_scale_shift)(size_t rows, size_t columns, const float *x, const float *scale,
                                const float *shift, int relu, float *y) {
  for (size_t r = 0; r < rows; r++, x += columns, y += columns) {
    if (relu) for (size_t c = 0; c < columns; c++) { const float v = x[c] * scale[c] + shift[c]; y[c] = v > 0 ? v : 0; }
    else for (size_t c = 0; c < columns; c++) y[c] = x[c] * scale[c] + shift[c];
  }
}

CK_BODY void CK(ck_norm_gradient_sums)(size_t rows, size_t columns, const float *x, const float *y,
                                       const float *dy, const float *mean,
                                       const float *inverse_deviation, float *sum, float *product) {
  for (size_t c = 0; c < columns; c++) sum[c] = product[c] = 0;
  for (size_t r = 0; r < rows; r++, x += columns, dy += columns) {
    if (y) {
      for (size_t c = 0; c < columns; c++) {
        const float g = y[c] > 0 ? dy[c] : 0;
        sum[c] += g;
        product[c] += g * (x[c] - mean[c]);
      }
      y += columns;
    } else {
      for (size_t c = 0; c < columns; c++) {
        sum[c] += dy[c];
        product[c] += dy[c] * (x[c] - mean[c]);
      }
    }
  }
  for (size_t c = 0; c < columns; c++) product[c] *= inverse_deviation[c];
}

CK_BODY void CK(ck_norm_gradient)(size_t rows, size_t columns, const float *x, const float *y,
                                  const float *dy, const float *mean, const float *a,
                                  const float *b, const float *d, float *dx) {
  for (size_t r = 0; r < rows; r++, x += columns, dy += columns, dx += columns) {
    if (y) {
      for (size_t c = 0; c < columns; c++) {
        const float g = y[c] > 0 ? dy[c] : 0;
        dx[c] = a[c] * g + b[c] * (x[c] - mean[c]) + d[c];
      }
      y += columns;
    } else {
      for (size_t c = 0; c < columns; c++) dx[c] = a[c] * dy[c] + b[c] * (x[c] - mean[c]) + d[c];
    }
  }
}
