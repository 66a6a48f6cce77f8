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
    case CK_EXP: CK(map)(n, x, y, CK(exponential)); break;
    case CK_LOG: CK(map)(n, x, y, CK(logarithm)); break;
    CK_MAP(CK_RELU, v > 0 ? v : (v != v ? v : 0))
    case CK_SIGMOID: CK(map)(n, x, y, CK(sigmoid)); break;
    case CK_SWISH: CK(map)(n, x, y, CK(swish)); break;
    case CK_ERF: CK(map)(n, x, y, CK(error_function)); break;
    case CK_GELU: CK(map)(n, x, y, CK(gelu)); break;
    case CK_HARD_SWISH: CK(map)(n, x, y, CK(hard_swish)); break;
    case CK_TANH: CK(map)(n, x, y, CK(hyperbolic_tangent)); break;
    CK_MAP(CK_RECIPROCAL, 1 / v)
    CK_MAP(CK_SIN, sinf(v))
    CK_MAP(CK_COS, cosf(v))
    CK_MAP(CK_STEP, v > 0 ? 1.0f : 0.0f)
    CK_MAP(CK_SIGN, v > 0 ? 1.0f : (v < 0 ? -1.0f : 0.0f))
    case CK_SOFTPLUS: CK(map)(n, x, y, CK(softplus)); break;
  }
}
#undef CK_MAP

// Not less than one number and not more than another; what is none stays so.
CK_BODY void CK(ck_clamp)(size_t n, float scale, float shift, float low, float high, const float *x, float *y) {
  for (size_t i = 0; i < n; i += CK_LANES)
    CK(store_lanes)(y + i, CK(bounded)(CK(load_lanes)(x + i, n - i) * scale + shift, low, high), n - i);
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
