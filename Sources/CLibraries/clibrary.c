#include "clibrary.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static void load(clibrary *library) {
  void *const file = dlopen(library->file, RTLD_LAZY | RTLD_LOCAL);
  for (int n = 0; n < library->count && !*library->missing; n++) {
    if (file) library->functions[n] = dlsym(file, library->names[n]);
    if (!library->functions[n]) snprintf(library->missing, sizeof library->missing, "%s", dlerror());
  }
}

const char *clibrary_missing(clibrary *library) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  if (!__atomic_load_n(&library->is_done, __ATOMIC_ACQUIRE)) {
    pthread_mutex_lock(&lock);
    if (!library->is_done) load(library);
    __atomic_store_n(&library->is_done, 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&lock);
  }
  return *library->missing ? library->missing : NULL;
}
