// Functions of each number of a vector, without a branch and without libm, which takes one number at a time. Exponentials,
// logarithms, tanh, sigmoid, softplus and erf are within a few units in the last place (tests state how many); products and sums
// of these lose what cancels, and what is smaller than normal numbers.

// Without AVX-512 of two vectors at a time: each step of a function waits for the one before, and the CPU foresees too few of them
// to do the next numbers meanwhile (alone exp, GELU and SiLU took 1.26, 1.3 and 1.13 times as long with AVX2).
#define CK_LANES (CK_WIDTH < 16 ? 2 * CK_WIDTH : CK_WIDTH)
typedef float CK(lanes) __attribute__((vector_size(CK_LANES * 4), aligned(4)));
typedef int32_t CK(ilanes) __attribute__((vector_size(CK_LANES * 4), aligned(4)));
typedef CK(lanes) CK(function)(CK(lanes));

// The first `count` numbers, zeros behind them.
CK_INLINE CK(lanes) CK(load_lanes)(const float *p, size_t count) {
  if (count >= CK_LANES) return *(const CK(lanes) *)p;
#if CK_WIDTH == 16
  return CK(load_vector)(p, count);
#else
  float part[CK_LANES] = {0};
  for (size_t j = 0; j < count; j++) part[j] = p[j];
  return *(const CK(lanes) *)part;
#endif
}

// The first `count` numbers; the memory behind them stays.
CK_INLINE void CK(store_lanes)(float *p, CK(lanes) value, size_t count) {
  if (count >= CK_LANES) {
    *(CK(lanes) *)p = value;
    return;
  }
#if CK_WIDTH == 16
  CK(store_vector)(p, value, count);
#else
  float part[CK_LANES];
  *(CK(lanes) *)part = value;
  for (size_t j = 0; j < count; j++) p[j] = part[j];
#endif
}

// y = f(x) for n numbers, which may lie in the same place. Inlined with f known.
CK_INLINE void CK(map)(size_t n, const float *x, float *y, CK(function) f) {
  size_t i = 0;
  for (; i + CK_LANES <= n; i += CK_LANES) *(CK(lanes) *)(y + i) = f(*(const CK(lanes) *)(x + i));
  if (i < n) CK(store_lanes)(y + i, f(CK(load_lanes)(x + i, n - i)), n - i);
}

// a where the mask is set, else b.
CK_INLINE CK(lanes) CK(chosen)(CK(ilanes) mask, CK(lanes) a, CK(lanes) b) {
  return (CK(lanes))((mask & (CK(ilanes))a) | (~mask & (CK(ilanes))b));
}

CK_INLINE CK(lanes) CK(constant)(float value) { return (CK(lanes)){0} + value; }

// Not less than one number and not more than another; what is none stays so.
CK_INLINE CK(lanes) CK(bounded)(CK(lanes) x, float low, float high) {
  const CK(lanes) least = CK(constant)(low), most = CK(constant)(high);
  // The instructions give their second operand where one is no number.
#if CK_WIDTH == 16
  return __builtin_ia32_minps512(most, __builtin_ia32_maxps512(least, x, 4), 4);
#else
  const CK(lanes) y = CK(chosen)(x < least, least, x);
  return CK(chosen)(y > most, most, y);
#endif
}

CK_INLINE CK(lanes) CK(magnitude)(CK(lanes) x) { return (CK(lanes))((CK(ilanes))x & 0x7fffffff); }

// The size of one number with the sign of another.
CK_INLINE CK(lanes) CK(signed_as)(CK(lanes) size, CK(lanes) x) {
  return (CK(lanes))((CK(ilanes))CK(magnitude)(size) | ((CK(ilanes))x & (int32_t)0x80000000));
}

// a / b within 2 units in the last place, for 1 <= b, not infinite. With AVX-512 a division takes as long as the rest of a
// sigmoid: there it is one step of Newton's from the CPU's estimate of 1 / b.
CK_INLINE CK(lanes) CK(quotient)(CK(lanes) a, CK(lanes) b) {
#if CK_WIDTH == 16
  const CK(lanes) r = __builtin_ia32_rcp14ps512_mask(b, (CK(lanes)){0}, 0xffff);
  return a * (r + r * (1 - b * r));
#else
  return a / b;
#endif
}

// e^x from one bound to another, by a polynomial on [-ln 2 / 2, ln 2 / 2] (Cephes' expf); beyond them as at the bound.
CK_INLINE CK(lanes) CK(bounded_exponential)(CK(lanes) x, float low, float high, const int is_normal) {
  const CK(lanes) within = CK(bounded)(x, low, high);
  const float rounder = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded
  const CK(lanes) rounded = within * 1.44269504088896341f + rounder, n = rounded - rounder;
  const CK(lanes) v = within - n * 0.693359375f + n * 2.12194440e-4f;
  CK(lanes) y = v * 1.9875691500e-4f + 1.3981999507e-3f;
  y = y * v + 8.3334519073e-3f;
  y = y * v + 4.1665795894e-2f;
  y = y * v + 1.6666665459e-1f;
  y = y * v + 5.0000001201e-1f;
  y = y * v * v + v + 1;
  // Times 2^n.
#if CK_WIDTH == 16
  return __builtin_ia32_scalefps512_mask(y, n, (CK(lanes)){0}, 0xffff, 4);
#else
  const CK(ilanes) whole = (CK(ilanes))rounded - (CK(ilanes))CK(constant)(rounder);
  if (is_normal) return y * (CK(lanes))((whole + 127) << 23);
  // In two halves: the whole is beyond the exponents of floats at both ends.
  const CK(ilanes) half = whole >> 1;
  return y * (CK(lanes))((half + 127) << 23) * (CK(lanes))((whole - half + 127) << 23);
#endif
}

// e^x; nothing or a denormal number far below zero, infinite far above.
CK_INLINE CK(lanes) CK(exponential)(CK(lanes) x) { return CK(bounded_exponential)(x, -104, 89, 0); }

// e^x, or the smallest normal number far below zero, the largest far above.
CK_INLINE CK(lanes) CK(normal_exponential)(CK(lanes) x) {
  return CK(bounded_exponential)(x, -87.3365447505531f, 88.3762626647949f, 1);
}

// The natural logarithm (Cephes' logf), of denormal numbers too.
CK_INLINE CK(lanes) CK(logarithm)(CK(lanes) x) {
  const CK(ilanes) small = x < CK(constant)(1.17549435e-38f);
  const CK(ilanes) bits = (CK(ilanes))CK(chosen)(small, x * 8388608.0f, x);
  // x = m 2^e, with m from sqrt(1/2) to sqrt(2).
  const CK(ilanes) e = (bits - 0x3f3504f3) >> 23;
  const CK(lanes) f = (CK(lanes))(bits - (e << 23)) - 1, z = f * f;
  const CK(lanes) exponent = __builtin_convertvector(e - (small & 23), CK(lanes));
  CK(lanes) y = f * 7.0376836292e-2f - 1.1514610310e-1f;
  y = y * f + 1.1676998740e-1f;
  y = y * f - 1.2420140846e-1f;
  y = y * f + 1.4249322787e-1f;
  y = y * f - 1.6668057665e-1f;
  y = y * f + 2.0000714765e-1f;
  y = y * f - 2.4999993993e-1f;
  y = y * f + 3.3333331174e-1f;
  y = y * f * z - exponent * 2.12194440e-4f - z * 0.5f;
  y = f + y + exponent * 0.693359375f;
  // Of nothing minus infinity, of infinity that, of what is less than nothing, or none, no number.
  y = CK(chosen)(x == (CK(lanes)){0}, CK(constant)(-INFINITY), y);
  return CK(chosen)((x >= (CK(lanes)){0}) & (x < CK(constant)(INFINITY)), y, CK(chosen)(x > (CK(lanes)){0}, x, CK(constant)(NAN)));
}

CK_INLINE CK(lanes) CK(sigmoid)(CK(lanes) x) { return CK(quotient)(CK(constant)(1), 1 + CK(normal_exponential)(-x)); }

// Far below zero, where e^-x is no float any more, nothing.
CK_INLINE CK(lanes) CK(swish)(CK(lanes) x) {
  return CK(quotient)(CK(chosen)(x < CK(constant)(-100), (CK(lanes)){0}, x), 1 + CK(normal_exponential)(-x));
}

CK_INLINE CK(lanes) CK(hard_swish)(CK(lanes) x) { return x * CK(bounded)(x * (1 / 6.0f) + 0.5f, 0, 1); }

// By a polynomial near zero (Cephes' tanhf), else as 1 - 2 / (e^2|x| + 1).
CK_INLINE CK(lanes) CK(hyperbolic_tangent)(CK(lanes) x) {
  const CK(lanes) a = CK(magnitude)(x), z = x * x;
  CK(lanes) p = z * -5.70498872745e-3f + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  p = p * z * a + a;
  const CK(lanes) far = 1 - CK(quotient)(CK(constant)(2), 1 + CK(normal_exponential)(a + a));
  return CK(signed_as)(CK(chosen)(a >= CK(constant)(0.625f), far, p), x);
}

// log(1 + e^x): the larger of x and nothing, and log(1 + e^-|x|), of which the sum in the logarithm keeps a few digits alone
// where it is small: what it lost is added.
CK_INLINE CK(lanes) CK(softplus)(CK(lanes) x) {
  const CK(lanes) e = CK(exponential)(-CK(magnitude)(x)), sum = 1 + e;
  const CK(lanes) rest = CK(quotient)(e - (sum - 1), sum);
  return CK(bounded)(x, 0, INFINITY) + (CK(logarithm)(sum) + rest);
}

// The error function within 3 units in the last place: where |x| < 1, x P(x^2); beyond, 1 - e^Q(|x|), with Q the logarithm
// of what is missing to 1. Both polynomials are minimax ones, found by Lawson's iteration.
CK_INLINE CK(lanes) CK(error_function)(CK(lanes) x) {
  const CK(lanes) a = CK(magnitude)(x), t = x * x;
  CK(lanes) p = t * 7.889122935011983e-05f - 8.020842215046287e-04f;
  p = p * t + 5.189535673707724e-03f;
  p = p * t - 2.6854444295167923e-02f;
  p = p * t + 1.1283600330352783e-01f;
  p = p * t - 3.761262595653534e-01f;
  p = p * t + 1.1283791065216064f;
  const CK(lanes) m = CK(chosen)(a > CK(constant)(4), CK(constant)(4), a);
  CK(lanes) q = m * 7.989258961060841e-07f - 1.2693399185081944e-05f;
  q = q * m + 6.609197589568794e-05f;
  q = q * m + 9.447873890167102e-05f;
  q = q * m - 3.3411807380616665e-03f;
  q = q * m + 2.3803789168596268e-02f;
  q = q * m - 1.0692481696605682e-01f;
  q = q * m - 6.342220902442932e-01f;
  q = q * m - 1.1291933059692383f;
  q = q * m + 1.2343181879259646e-04f;
  const CK(lanes) far = CK(signed_as)(1 - CK(normal_exponential)(q), x);
  return CK(chosen)(a < CK(constant)(1), x * p, far);
}

CK_INLINE CK(lanes) CK(gelu)(CK(lanes) x) { return 0.5f * x * (1 + CK(error_function)(x * 0.70710678f)); }
