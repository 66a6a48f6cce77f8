// Maximum pooling of one image. `chosen` holds the offset of each window's maximum in the image;
// the first of equal maxima is taken.

CK_BODY void CK(ck_max_pool)(size_t height, size_t width, size_t channels, size_t size,
                             size_t stride, const float *x, float *y, int32_t *chosen) {
  const size_t rows = (height - size) / stride + 1, columns = (width - size) / stride + 1;
  for (size_t r = 0; r < rows; r++)
    for (size_t q = 0; q < columns; q++, y += channels, chosen += channels) {
      const size_t base = (r * stride * width + q * stride) * channels;
      for (size_t c = 0; c < channels; c++) {
        y[c] = x[base + c];
        chosen[c] = (int32_t)(base + c);
      }
      for (size_t i = 0; i < size; i++)
        for (size_t j = 0; j < size; j++) {
          const size_t o = base + (i * width + j) * channels;
          for (size_t c = 0; c < channels; c++) {
            const float v = x[o + c];
            const int take = v > y[c] || v != v;
            y[c] = take ? v : y[c];
            chosen[c] = take ? (int32_t)(o + c) : chosen[c];
          }
        }
    }
}

CK_BODY void CK(ck_max_pool_pullback)(size_t outputs, const int32_t *chosen, const float *dy,
                                      float *dx) {
  for (size_t i = 0; i < outputs; i++) dx[chosen[i]] += dy[i];
}
