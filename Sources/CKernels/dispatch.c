// Chooses one body per machine, once, when the library is loaded.
#define _GNU_SOURCE
#include "ckernels.h"
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
  const char *path;
  int width;
#define KERNEL(name, params, args) void(*name) params;
#include "include/kernels.def"
#undef KERNEL
} ck_table;

#define KERNEL(name, params, args) extern void ck_##name##_portable params;
#include "include/kernels.def"
#undef KERNEL
static const ck_table portable = {
    "portable", 4,
#define KERNEL(name, params, args) ck_##name##_portable,
#include "include/kernels.def"
#undef KERNEL
};

#if defined(__x86_64__)
#define KERNEL(name, params, args) \
  extern void ck_##name##_avx2 params; \
  extern void ck_##name##_avx512 params;
#include "include/kernels.def"
#undef KERNEL
static const ck_table avx2 = {
    "avx2", 8,
#define KERNEL(name, params, args) ck_##name##_avx2,
#include "include/kernels.def"
#undef KERNEL
};
static const ck_table avx512 = {
    "avx512", 16,
#define KERNEL(name, params, args) ck_##name##_avx512,
#include "include/kernels.def"
#undef KERNEL
};
#endif

static const ck_table *active = &portable;

__attribute__((constructor)) static void ck_choose(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const char *forced = getenv("CANON_CPU");
  if (forced && !*forced) forced = NULL;
  int allow_avx512 = !forced || strcmp(forced, "avx512") == 0;
  int allow_avx2 = allow_avx512 || strcmp(forced, "avx2") == 0;
  if (allow_avx512 && __builtin_cpu_supports("x86-64-v4")) active = &avx512;
  else if (allow_avx2 && __builtin_cpu_supports("x86-64-v3")) active = &avx2;
#endif
}

static _Thread_local int worker;
int ck_is_worker(void) { return worker; }
void ck_set_worker(int on) { worker = on; }

int ck_processor_count(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (int)count : 1;
}

int ck_thread(void) { return (int)syscall(SYS_gettid); }

void ck_keep_off_this_cpu(int thread) {
  cpu_set_t set;
  const int cpu = sched_getcpu();
  if (thread <= 0 || cpu < 0 || sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 2) return;
  CPU_CLR(cpu, &set);
  sched_setaffinity(thread, sizeof set, &set);
}

void ck_return_to_all_cpus(void) {
  cpu_set_t set;
  if (sched_getaffinity(getpid(), sizeof set, &set) == 0) sched_setaffinity(0, sizeof set, &set);
}

void ck_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

const char *ck_path(void) { return active->path; }
int ck_width(void) { return active->width; }
int ck_panel(void) { return 2 * active->width; }

#define KERNEL(name, params, args) \
  void ck_##name params { active->name args; }
#include "include/kernels.def"
#undef KERNEL
