#include "cjpeg.h"

#include <turbojpeg.h>

uint8_t *cjpeg_turn(const uint8_t *file, size_t file_size, int operation, int trims, size_t *size) {
  // Of the bits of `operation`: a quarter turn to the right looks at the rows, which become columns, from below.
  static const int operations[8] = {TJXOP_NONE,      TJXOP_TRANSPOSE, TJXOP_HFLIP,  TJXOP_ROT270,
                                    TJXOP_VFLIP,     TJXOP_ROT90,     TJXOP_ROT180, TJXOP_TRANSVERSE};
  const tjhandle handle = tjInitTransform();
  if (!handle) return NULL;
  unsigned char *result = NULL;
  unsigned long length = 0;
  tjtransform transform = {.op = operations[operation & 7], .options = trims ? TJXOPT_TRIM : TJXOPT_PERFECT};
  // A warning is a failure too: what is turned is to be all of the file.
  if (tjTransform(handle, file, file_size, 1, &result, &length, &transform, 0) != 0) {
    tjFree(result);
    result = NULL;
  }
  tjDestroy(handle);
  *size = length;
  return result;
}

void cjpeg_release(uint8_t *file) { tjFree(file); }
