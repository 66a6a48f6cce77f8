// OpenBLAS called from C, with its own threads: what the matrix product is compared with.
#ifndef ROOF_H
#define ROOF_H

/// The product of two n x n matrices.
void roof_product(int threads, int n, const float *a, const float *b, float *c);

/// The kernels that OpenBLAS chose.
const char *roof_blas_core(void);

#endif
