// OpenBLAS as this package uses it: loaded where it is used, with kernels for this CPU, on the thread that calls it.
//
// Most commands multiply no large matrices, and the loader of programs takes 5 ms for its 14,000 relocations.
#define _GNU_SOURCE
#include "ckernels.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// What is not there stays NULL: in a build for a single CPU, or in another library of the same name.
static struct {
  void (*sgemm)(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
                float beta, float *c, int ldc);
  char *(*core)(void);
  void (*set_threads)(int);
  int (*stop_threads)(void);
  void (*quit)(void), (*init)(void);
  void *(*take)(int);
  void (*give)(void *);
} blas;

// Its settings are environment variables, read when it is initialized. It begins in an environment of its own, with lines before those of
// all: Swift finds the command line by where the real one lies, and setenv would move that.
//
// With one thread it starts none: idle ones would look out for work on our cores, and where the system refuses one it interrupts the
// program (SIGINT).
static char **enter(const char *entry) {
  size_t count = 0;
  while (environ && environ[count]) count++;
  // Never freed: another thread may be reading it.
  const char **own = malloc((count + 3) * sizeof *own);
  char **before = environ;
  if (!own) return before;
  own[0] = "OPENBLAS_NUM_THREADS=1";
  own[1] = entry ? entry : own[0];
  if (count) memcpy(own + 2, environ, count * sizeof *own);
  own[count + 2] = NULL;
  environ = (char **)own;
  return before;
}

#if defined(__x86_64__)
// Kernels for CPUs before AVX2. OpenBLAS chooses by the CPU's model number, and takes one of these for a model that came after
// it: version 0.3.21 on Intel's Emerald Rapids those of the Pentium 4, at a sixth of the speed.
static int is_old(const char *kernels) {
  static const char *const old[] = {"Prescott", "Core2", "Penryn", "Dunnington", "Nehalem", "Sandybridge", "Atom", "Nano", "Opteron",
                                    "Opteron_SSE3", "Barcelona", "Bobcat", "Bulldozer", "Piledriver", "Steamroller"};
  for (size_t i = 0; i < sizeof old / sizeof *old; i++)
    if (strcmp(kernels, old[i]) == 0) return 1;
  return 0;
}

static void choose_kernels(void) {
  __builtin_cpu_init();
  const char *entry = __builtin_cpu_supports("x86-64-v4")   ? "OPENBLAS_CORETYPE=SkylakeX"
                      : __builtin_cpu_supports("x86-64-v3") ? "OPENBLAS_CORETYPE=Haswell"
                                                            : NULL;
  if (!entry || getenv("OPENBLAS_CORETYPE") || !blas.core || !blas.quit || !blas.init || !is_old(blas.core())) return;
  char **before = enter(entry);
  blas.quit();
  blas.init();
  environ = before;
}
#else
static void choose_kernels(void) {}
#endif

static char missing[256];

static void load(void) {
  char **before = enter(NULL);
  void *library = dlopen("libopenblas.so.0", RTLD_LAZY | RTLD_LOCAL);
  environ = before;
  if (!library) {
    snprintf(missing, sizeof missing, "%s", dlerror());
    return;
  }
  *(void **)&blas.sgemm = dlsym(library, "cblas_sgemm");
  *(void **)&blas.core = dlsym(library, "openblas_get_corename");
  *(void **)&blas.set_threads = dlsym(library, "openblas_set_num_threads");
  *(void **)&blas.stop_threads = dlsym(library, "blas_thread_shutdown_");
  *(void **)&blas.quit = dlsym(library, "gotoblas_dynamic_quit");
  *(void **)&blas.init = dlsym(library, "gotoblas_dynamic_init");
  *(void **)&blas.take = dlsym(library, "blas_memory_alloc");
  *(void **)&blas.give = dlsym(library, "blas_memory_free");
  if (!blas.sgemm) return;
  choose_kernels();
  // Of a library that was loaded before, with threads of its own.
  if (blas.set_threads) blas.set_threads(1);
  if (blas.stop_threads) blas.stop_threads();
}

// Whether it is there.
static int prepare(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return blas.sgemm != NULL;
}

void ck_sgemm(int a_transposed, int b_transposed, size_t m, size_t n, size_t k, const float *a, size_t a_stride, const float *b,
              size_t b_stride, float *c, size_t c_stride) {
  enum { row_major = 101, plain = 111, transposed = 112 };
  if (!prepare()) {
    fprintf(stderr, "Error: libopenblas.so.0 cannot be loaded, which multiplies matrices (%s); install OpenBLAS (libopenblas0).\n",
            *missing ? missing : "it has no cblas_sgemm");
    _exit(1);
  }
  blas.sgemm(row_major, a_transposed ? transposed : plain, b_transposed ? transposed : plain, (int)m, (int)n, (int)k, 1, a,
             (int)a_stride, b, (int)b_stride, 0, c, (int)c_stride);
}

const char *ck_blas_core(void) {
  return prepare() && blas.core ? blas.core() : "";
}

void ck_blas_take_buffers(size_t count) {
  if (!prepare() || !blas.take || !blas.give || count == 0) return;
  void **buffers = malloc(count * sizeof *buffers);
  for (size_t i = 0; buffers && i < count; i++) buffers[i] = blas.take(0);
  for (size_t i = 0; buffers && i < count; i++) blas.give(buffers[i]);
  free(buffers);
}
