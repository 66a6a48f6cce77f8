// Maximum pooling of one image. `chosen` holds which of its window's pixels, row by row, an output
// came from: the first of equal maxima, or the first that is not a number.

CK_BODY void CK(ck_max_pool)(size_t height, size_t width, size_t channels, size_t size,
                             size_t stride, const float *x, float *y, uint8_t *chosen) {
  typedef CK(vec) vec;
  typedef uint8_t bytes __attribute__((vector_size(CK_WIDTH), aligned(1)));
  const size_t rows = (height - size) / stride + 1, columns = (width - size) / stride + 1;
  for (size_t r = 0; r < rows; r++)
    for (size_t q = 0; q < columns; q++, y += channels, chosen += channels)
      for (size_t c = 0; c < channels; c += CK_WIDTH) {
        const float *window = x + (r * stride * width + q * stride) * channels + c;
        vec best = *(const vec *)window;
        CK(ivec) index = {0};
        for (size_t i = 0; i < size; i++)
          for (size_t j = 0; j < size; j++) {
            const vec v = *(const vec *)(window + (i * width + j) * channels);
            const CK(ivec) take = (v > best) | ((v != v) & (best == best));
            best = (vec)((take & (CK(ivec))v) | (~take & (CK(ivec))best));
            index = (take & (int32_t)(i * size + j)) | (~take & index);
          }
        const bytes narrow = __builtin_convertvector(index, bytes);
        CK(store_vector)(y + c, best, channels - c);
        if (channels - c >= CK_WIDTH) *(bytes *)(chosen + c) = narrow;
        else memcpy(chosen + c, &narrow, channels - c);
      }
}

// Windows that do not overlap write their pixels once, with `adds` 0; others add.
CK_BODY void CK(ck_max_pool_pullback)(size_t height, size_t width, size_t channels, size_t size,
                                      size_t stride, int adds, const uint8_t *chosen,
                                      const float *dy, float *dx) {
  typedef CK(vec) vec;
  typedef uint8_t bytes __attribute__((vector_size(CK_WIDTH), aligned(1)));
  const size_t rows = (height - size) / stride + 1, columns = (width - size) / stride + 1;
  for (size_t r = 0; r < rows; r++)
    for (size_t q = 0; q < columns; q++, dy += channels, chosen += channels)
      for (size_t c = 0; c < channels; c += CK_WIDTH) {
        float *window = dx + (r * stride * width + q * stride) * channels + c;
        const CK(ivec) g = *(const CK(ivec) *)(dy + c);
        const CK(ivec) index = __builtin_convertvector(*(const bytes *)(chosen + c), CK(ivec));
        for (size_t i = 0; i < size; i++)
          for (size_t j = 0; j < size; j++) {
            float *target = window + (i * width + j) * channels;
            const vec value = (vec)(g & (index == (int32_t)(i * size + j)));
            CK(store_vector)(target, adds ? *(const vec *)target + value : value, channels - c);
          }
      }
}
