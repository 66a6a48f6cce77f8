// OpenBLAS as this package uses it: with kernels for this CPU, on the thread that calls it.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Weak: absent where another BLAS stands in for OpenBLAS, or one that was built for a single CPU.
extern char *openblas_get_corename(void) __attribute__((weak));
extern void openblas_set_num_threads(int) __attribute__((weak));
extern int blas_thread_shutdown_(void) __attribute__((weak));
extern void gotoblas_dynamic_quit(void) __attribute__((weak));
extern void gotoblas_dynamic_init(void) __attribute__((weak));

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

// Its own override, an environment variable, is read when the library is loaded; here it is read again, from an environment of
// its own: Swift finds the command line by where the real one lies, and setenv would move that.
static void choose_kernels(void) {
  __builtin_cpu_init();
  char *entry = __builtin_cpu_supports("x86-64-v4")   ? "OPENBLAS_CORETYPE=SkylakeX"
                : __builtin_cpu_supports("x86-64-v3") ? "OPENBLAS_CORETYPE=Haswell"
                                                      : NULL;
  if (!entry || getenv("OPENBLAS_CORETYPE") || !openblas_get_corename || !gotoblas_dynamic_quit || !gotoblas_dynamic_init) return;
  if (!is_old(openblas_get_corename())) return;
  char *own[] = {entry, NULL}, **real = environ;
  environ = own;
  gotoblas_dynamic_quit();
  gotoblas_dynamic_init();
  environ = real;
}
#else
static void choose_kernels(void) {}
#endif

// In a constructor, while there is one thread of ours: nobody else reads the environment, and nothing multiplies.
__attribute__((constructor)) static void ck_prepare_blas(void) {
  choose_kernels();
  if (openblas_set_num_threads) openblas_set_num_threads(1);
  // Its own threads would look out for work on our cores for a tenth of a second; where more than one is asked for it starts
  // them again.
  if (blas_thread_shutdown_) blas_thread_shutdown_();
}
