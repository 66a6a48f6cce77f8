#include "reference.h"

extern void openblas_set_num_threads(int);
extern char *openblas_get_corename(void);
extern void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda,
                        const float *b, int ldb, float beta, float *c, int ldc);

void reference_product(int threads, int n, const float *a, const float *b, float *c) {
  openblas_set_num_threads(threads);
  cblas_sgemm(101, 111, 111, n, n, n, 1, a, n, b, n, 0, c, n);
  openblas_set_num_threads(1);
}

const char *reference_blas_core(void) { return openblas_get_corename(); }
