#include "cjpeg.h"

#include <stdio.h>
#include <string.h>
#include <turbojpeg.h>

uint8_t *cjpeg_turn(const uint8_t *file, size_t file_size, int operation, int trims, size_t *size,
                    char message[CJPEG_MESSAGE]) {
  // Of the bits of `operation`: a quarter turn to the right looks at the rows, which become columns, from below.
  static const int operations[8] = {TJXOP_NONE,      TJXOP_TRANSPOSE, TJXOP_HFLIP,  TJXOP_ROT270,
                                    TJXOP_VFLIP,     TJXOP_ROT90,     TJXOP_ROT180, TJXOP_TRANSVERSE};
  const tjhandle handle = tjInitTransform();
  unsigned char *result = NULL;
  unsigned long length = 0;
  tjtransform transform = {.op = operations[operation & 7], .options = trims ? TJXOPT_TRIM : TJXOPT_PERFECT};
  if (!handle || tjTransform(handle, file, file_size, 1, &result, &length, &transform, 0) != 0) {
    snprintf(message, CJPEG_MESSAGE, "%s", handle ? tjGetErrorStr2(handle) : "no memory");
    tjFree(result);
    result = NULL;
  }
  if (handle) tjDestroy(handle);
  *size = length;
  return result;
}

void cjpeg_release(uint8_t *file) { tjFree(file); }
