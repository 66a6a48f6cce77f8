// Elementwise loops; clang vectorizes those without a call to libm.

#define CK_MAP(op, expression) \
  case op: \
    for (size_t i = 0; i < n; i++) { const float v = x[i]; y[i] = (expression); } \
    break;

CK_BODY void CK(ck_unary)(ck_unary_op op, size_t n, const float *x, float *y) {
  switch (op) {
    CK_MAP(CK_NEGATE, -v)
    CK_MAP(CK_ABS, fabsf(v))
    CK_MAP(CK_SQUARE, v * v)
    CK_MAP(CK_SQRT, sqrtf(v))
    CK_MAP(CK_EXP, expf(v))
    CK_MAP(CK_LOG, logf(v))
    CK_MAP(CK_RELU, v > 0 ? v : (v != v ? v : 0))
    CK_MAP(CK_SIGMOID, 1 / (1 + expf(-v)))
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
