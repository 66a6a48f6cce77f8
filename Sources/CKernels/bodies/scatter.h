// The input gradient of a convolution with few input channels: the products of the output's gradient
// with every tap come as rows p[pixel] of kernel * kernel * channels floats, `row_stride` apart, and are
// added where the taps read. A gathered product would fill a vector with the few channels alone.

CK_BODY void CK(ck_scatter_taps)(size_t out_height, size_t out_width, size_t row_stride, const float *p,
                                 size_t kernel_height, size_t kernel_width, size_t stride, size_t padding,
                                 size_t dilation, size_t height, size_t width, size_t channels, float *dx) {
  for (size_t i = 0; i < height * width * channels; i++) dx[i] = 0;
  for (size_t oy = 0; oy < out_height; oy++)
    for (size_t u = 0; u < kernel_height; u++) {
      const size_t y = oy * stride + u * dilation - padding;  // wraps to a large number above the image
      if (y >= height) continue;
      for (size_t v = 0; v < kernel_width; v++) {
        const float *from = p + oy * out_width * row_stride + (u * kernel_width + v) * channels;
        for (size_t ox = 0; ox < out_width; ox++, from += row_stride) {
          const size_t x = ox * stride + v * dilation - padding;
          if (x >= width) continue;
          for (size_t c = 0; c < channels; c++) dx[(y * width + x) * channels + c] += from[c];
        }
      }
    }
}
