#include "cwebp.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static struct {
#define CWEBP(result, name, parameters, symbol, arguments) __typeof__(&symbol) name;
#include "cwebp.def"
#undef CWEBP
} library;
static char missing[256];

static void load(void) {
  void *const files[] = {dlopen("libwebp.so.7", RTLD_LAZY | RTLD_LOCAL), dlopen("libwebpmux.so.3", RTLD_LAZY | RTLD_LOCAL)};
  for (int n = 0; n < 2; n++)
    if (!files[n]) {
      snprintf(missing, sizeof missing, "%s cannot be loaded", n ? "libwebpmux.so.3" : "libwebp.so.7");
      return;
    }
#define CWEBP(result, name, parameters, symbol, arguments) \
  *(void **)&library.name = dlsym(files[0], #symbol); \
  if (!library.name) *(void **)&library.name = dlsym(files[1], #symbol); \
  if (!library.name) snprintf(missing, sizeof missing, "libwebp has no %s", #symbol);
#include "cwebp.def"
#undef CWEBP
}

const char *cwebp_missing(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return *missing ? missing : NULL;
}

#define CWEBP(result, name, parameters, symbol, arguments) \
  result cwebp_##name parameters { return library.name arguments; }
#include "cwebp.def"
#undef CWEBP
