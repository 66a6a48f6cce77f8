// Nothing but fused multiply-adds, for measuring what the machine can do at best: twelve independent
// chains hide their latency.
CK_BODY void CK(ck_multiply_adds)(size_t repeats, float *result) {
  typedef CK(vec) vec;
  vec sum[12];
  const vec a = (vec){0} + 0.999f, b = (vec){0} + 0.001f;
#pragma clang loop unroll(full)
  for (int i = 0; i < 12; i++) sum[i] = (vec){0} + (float)i;
  for (size_t r = 0; r < repeats; r++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 12; i++) {
      sum[i] = sum[i] * a + b;
#if defined(__x86_64__)
      __asm__ volatile("" : "+v"(sum[i]));
#endif
    }
  }
  for (int i = 1; i < 12; i++) sum[0] += sum[i];
  *result = sum[0][0];
}
