#include "cjpeg.h"

#include <dlfcn.h>
#include <pthread.h>
#include <turbojpeg.h>

// TurboJPEG, loaded where a file is turned.
#define CJPEG_TURN_FUNCTIONS(X) X(InitTransform) X(Transform) X(Destroy) X(Free)

static struct {
#define X(name) __typeof__(&tj##name) name;
  CJPEG_TURN_FUNCTIONS(X)
#undef X
} library;
static int is_whole;

static void load(void) {
  void *const file = dlopen("libturbojpeg.so.0", RTLD_LAZY | RTLD_LOCAL);
  if (!file) return;
  is_whole = 1;
#define X(name) \
  *(void **)&library.name = dlsym(file, "tj" #name); \
  if (!library.name) is_whole = 0;
  CJPEG_TURN_FUNCTIONS(X)
#undef X
}

uint8_t *cjpeg_turn(const uint8_t *file, size_t file_size, int operation, int trims, size_t *size) {
  // Of the bits of `operation`: a quarter turn to the right looks at the rows, which become columns, from below.
  static const int operations[8] = {TJXOP_NONE,      TJXOP_TRANSPOSE, TJXOP_HFLIP,  TJXOP_ROT270,
                                    TJXOP_VFLIP,     TJXOP_ROT90,     TJXOP_ROT180, TJXOP_TRANSVERSE};
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  const tjhandle handle = is_whole ? library.InitTransform() : NULL;
  if (!handle) return NULL;
  unsigned char *result = NULL;
  unsigned long length = 0;
  tjtransform transform = {.op = operations[operation & 7], .options = trims ? TJXOPT_TRIM : TJXOPT_PERFECT};
  // A warning is a failure too: what is turned is to be all of the file.
  if (library.Transform(handle, file, file_size, 1, &result, &length, &transform, 0) != 0) {
    library.Free(result);
    result = NULL;
  }
  library.Destroy(handle);
  *size = length;
  return result;
}

void cjpeg_release(uint8_t *file) { library.Free(file); }
