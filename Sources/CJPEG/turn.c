#include "cjpeg.h"

#include <clibrary.h>
#include <turbojpeg.h>

// TurboJPEG, loaded where a file is turned.
#define CJPEG_TURN_FUNCTIONS(X) X(InitTransform) X(Transform) X(Destroy) X(Free)

static struct {
#define X(name) __typeof__(&tj##name) name;
  CJPEG_TURN_FUNCTIONS(X)
#undef X
} library;
static const char *const names[] = {
#define X(name) "tj" #name,
  CJPEG_TURN_FUNCTIONS(X)
#undef X
};
static clibrary source = CLIBRARY("libturbojpeg.so.0", names, library);

uint8_t *cjpeg_turn(const uint8_t *file, size_t file_size, int operation, int trims, size_t *size) {
  // Of the bits of `operation`: a quarter turn to the right looks at the rows, which become columns, from below.
  static const int operations[8] = {TJXOP_NONE,      TJXOP_TRANSPOSE, TJXOP_HFLIP,  TJXOP_ROT270,
                                    TJXOP_VFLIP,     TJXOP_ROT90,     TJXOP_ROT180, TJXOP_TRANSVERSE};
  const tjhandle handle = clibrary_missing(&source) ? NULL : library.InitTransform();
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
