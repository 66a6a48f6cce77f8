// Elementwise loops; clang vectorizes those without a call to libm.
#define CK_EACH _Pragma("clang loop vectorize(assume_safety)") for (size_t i = 0; i < n; i++)

#define CK_CLAMPED(v, low, high) ((v) < (low) ? (low) : (v) > (high) ? (high) : (v))

#define CK_MAP(op, expression) \
  case op: \
    for (size_t i = 0; i < n; i++) { const float v = x[i]; y[i] = (expression); } \
    break;

// The same where the result may be where the argument is.
#define CK_MAP_IN_PLACE(op, expression) \
  case op: \
    CK_EACH { const float v = x[i]; y[i] = (expression); } \
    break;

// e^x within 2 units in the last place, by a polynomial on [-ln 2 / 2, ln 2 / 2] (Cephes' expf); of what is no number
// that. Beyond the range of floats it is the largest of them, or the smallest normal one.
CK_INLINE float CK(exponential)(float x) {
  const float low = x < -87.3365447505531f ? -87.3365447505531f : x;
  float v = low > 88.3762626647949f ? 88.3762626647949f : low;
  const float rounder = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded
  const float n = (v * 1.44269504088896341f + rounder) - rounder;
  v = v - n * 0.693359375f + n * 2.12194440e-4f;
  float y = 1.9875691500e-4f;
  y = y * v + 1.3981999507e-3f;
  y = y * v + 8.3334519073e-3f;
  y = y * v + 4.1665795894e-2f;
  y = y * v + 1.6666665459e-1f;
  y = y * v + 5.0000001201e-1f;
  y = y * v * v + v + 1;
  const int32_t exponent = n == n ? (int32_t)n : 0;
  const union { uint32_t bits; float number; } power = {(uint32_t)(exponent + 127) << 23};
  return y * power.number;
}

// The error function within 3 units in the last place: where |x| < 1, x P(x^2); beyond, 1 - e^Q(|x|), with Q the logarithm
// of what is missing to 1. Both polynomials are minimax ones, found by Lawson's iteration.
CK_INLINE float CK(error_function)(float x) {
  const float a = fabsf(x), t = x * x;
  float p = 7.889122935011983e-05f;
  p = p * t - 8.020842215046287e-04f;
  p = p * t + 5.189535673707724e-03f;
  p = p * t - 2.6854444295167923e-02f;
  p = p * t + 1.1283600330352783e-01f;
  p = p * t - 3.761262595653534e-01f;
  p = p * t + 1.1283791065216064f;
  const float m = a > 4 ? 4 : a;
  float q = 7.989258961060841e-07f;
  q = q * m - 1.2693399185081944e-05f;
  q = q * m + 6.609197589568794e-05f;
  q = q * m + 9.447873890167102e-05f;
  q = q * m - 3.3411807380616665e-03f;
  q = q * m + 2.3803789168596268e-02f;
  q = q * m - 1.0692481696605682e-01f;
  q = q * m - 6.342220902442932e-01f;
  q = q * m - 1.1291933059692383f;
  q = q * m + 1.2343181879259646e-04f;
  const float far = copysignf(1 - CK(exponential)(q), x);
  return a < 1 ? x * p : far;
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
    CK_MAP_IN_PLACE(CK_SIGMOID, 1 / (1 + CK(exponential)(-v)))
    // Far below zero, where e^-v is no float any more, nothing.
    CK_MAP_IN_PLACE(CK_SWISH, (v < -100 ? 0 : v) / (1 + CK(exponential)(-v)))
    CK_MAP_IN_PLACE(CK_ERF, CK(error_function)(v))
    CK_MAP_IN_PLACE(CK_GELU, 0.5f * v * (1 + CK(error_function)(v * 0.70710678f)))
    CK_MAP_IN_PLACE(CK_HARD_SWISH, v * CK_CLAMPED(v * (1 / 6.0f) + 0.5f, 0, 1))
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
#undef CK_MAP_IN_PLACE

// Not less than one number and not more than another; what is none stays so.
CK_BODY void CK(ck_clamp)(size_t n, float scale, float shift, float low, float high, const float *x, float *y) {
  CK_EACH { const float v = x[i] * scale + shift; y[i] = CK_CLAMPED(v, low, high); }
}

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
