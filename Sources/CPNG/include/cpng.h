// PNG files through libpng, with its error handling (setjmp) kept on the C side.
#ifndef CPNG_H
#define CPNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint32_t width, height;
  int channels;   // 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA
  int bit_depth;  // 8 or 16
} cpng_header;

typedef struct cpng_reader cpng_reader;

#define CPNG_MESSAGE 256

/// Opens a file and reads its header. Palettes become RGB, transparent colors alpha, fewer than 8
/// bits 8. Returns NULL, with a message, for a file that is missing or not a PNG.
cpng_reader *cpng_open(const char *path, cpng_header *header, char message[CPNG_MESSAGE]);

/// Reads all samples, in native byte order: uint8_t or uint16_t by bit depth. Returns 0 on success.
int cpng_read(cpng_reader *reader, void *samples, char message[CPNG_MESSAGE]);

void cpng_close(cpng_reader *reader);

/// Writes a file. Returns 0 on success.
int cpng_write(const char *path, const cpng_header *header, const void *samples,
               char message[CPNG_MESSAGE]);

#endif
