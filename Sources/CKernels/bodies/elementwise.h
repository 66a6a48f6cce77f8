// Elementwise loops; clang vectorizes those without a call to libm.

#define CK_MAP(op, expression) \
  case op: \
    for (size_t i = 0; i < n; i++) { const float v = x[i]; y[i] = (expression); } \
    break;

// e^x within 2 units in the last place, by a polynomial on [-ln 2 / 2, ln 2 / 2] (Cephes' expf); of what is no number
// that. Beyond the range of floats it is the largest of them, or the smallest normal one.
CK_INLINE CK(vec) CK(exponential)(CK(vec) x) {
  typedef CK(vec) vec;
  typedef CK(ivec) ivec;
  const vec most = (vec){0} + 88.3762626647949f, least = (vec){0} - 87.3365447505531f;
  const ivec isMore = x > most, isLess = x < least;
  vec v = (vec)((isMore & (ivec)most) | (isLess & (ivec)least) | (~(isMore | isLess) & (ivec)x));
  const float rounder = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded
  const vec n = (v * 1.44269504088896341f + rounder) - rounder;
  v = v - n * 0.693359375f + n * 2.12194440e-4f;
  vec y = (vec){0} + 1.9875691500e-4f;
  y = y * v + 1.3981999507e-3f;
  y = y * v + 8.3334519073e-3f;
  y = y * v + 4.1665795894e-2f;
  y = y * v + 1.6666665459e-1f;
  y = y * v + 5.0000001201e-1f;
  y = y * v * v + v + 1;
  const ivec exponent = (__builtin_convertvector(n, ivec) + 127) << 23;
  const ivec isNumber = x == x;
  return (vec)((isNumber & (ivec)(y * (vec)exponent)) | (~isNumber & (ivec)x));
}

CK_BODY void CK(ck_unary)(ck_unary_op op, size_t n, const float *x, float *y) {
  switch (op) {
    CK_MAP(CK_NEGATE, -v)
    CK_MAP(CK_ABS, fabsf(v))
    CK_MAP(CK_SQUARE, v * v)
    CK_MAP(CK_SQRT, sqrtf(v))
    CK_MAP(CK_EXP, expf(v))
    CK_MAP(CK_LOG, logf(v))
    CK_MAP(CK_RELU, v > 0 ? v : (v != v ? v : 0))
    case CK_SIGMOID:
      for (size_t i = 0; i < n; i += CK_WIDTH) {
        const CK(vec) v = *(const CK(vec) *)(x + i);
        CK(store_vector)(y + i, 1 / (1 + CK(exponential)(-v)), n - i);
      }
      break;
    CK_MAP(CK_TANH, tanhf(v))
    CK_MAP(CK_RECIPROCAL, 1 / v)
    CK_MAP(CK_SIN, sinf(v))
    CK_MAP(CK_COS, cosf(v))
    CK_MAP(CK_STEP, v > 0 ? 1.0f : 0.0f)
    CK_MAP(CK_SIGN, v > 0 ? 1.0f : (v < 0 ? -1.0f : 0.0f))
    CK_MAP(CK_SOFTPLUS, (v > 0 ? v : 0) + log1pf(expf(-fabsf(v))))
  }
}
#undef CK_MAP

// Strides of 0 (a broadcast scalar) and 1 get loops of their own, so that each vectorizes.
#define CK_ZIP(op, expression) \
  case op: \
    if (xs && ys) for (size_t i = 0; i < n; i++) { const float a = x[i], b = y[i]; z[i] = (expression); } \
    else if (xs) { const float b = *y; for (size_t i = 0; i < n; i++) { const float a = x[i]; z[i] = (expression); } } \
    else if (ys) { const float a = *x; for (size_t i = 0; i < n; i++) { const float b = y[i]; z[i] = (expression); } } \
    else { const float a = *x, b = *y; for (size_t i = 0; i < n; i++) z[i] = (expression); } \
    break;

CK_BODY void CK(ck_binary)(ck_binary_op op, size_t n, const float *x, size_t xs, const float *y,
                           size_t ys, float *z) {
  switch (op) {
    CK_ZIP(CK_ADD, a + b)
    CK_ZIP(CK_SUBTRACT, a - b)
    CK_ZIP(CK_MULTIPLY, a * b)
    CK_ZIP(CK_DIVIDE, a / b)
    CK_ZIP(CK_MAXIMUM, ((a > b) | (a != a)) ? a : b)
    CK_ZIP(CK_MINIMUM, ((a < b) | (a != a)) ? a : b)
    CK_ZIP(CK_GREATER, a > b ? 1.0f : 0.0f)
    CK_ZIP(CK_EQUAL, a == b ? 1.0f : 0.0f)
  }
}
#undef CK_ZIP

CK_BODY void CK(ck_axpy)(size_t n, float a, const float *x, float *y) {
  for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

CK_BODY void CK(ck_relu_pullback)(size_t n, const float *y, const float *dy, float *dx) {
  for (size_t i = 0; i < n; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
}
