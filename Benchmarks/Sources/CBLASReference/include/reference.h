// OpenBLAS called from C, with its own threads: what the matrix product is compared with.
#ifndef REFERENCE_H
#define REFERENCE_H

/// The product of two n x n matrices.
void reference_product(int threads, int n, const float *a, const float *b, float *c);

/// The kernels that OpenBLAS chose.
const char *reference_blas_core(void);

#endif
