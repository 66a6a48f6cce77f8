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
/// What is kept of a file's texts, profiles and the like, in bytes; more is left out.
#define CPNG_KEPT_LIMIT (64u << 20)

/// How many samples a file has, of a header that pixels follow at once: 0 of any other, or of none.
size_t cpng_plain_samples(const char *path);

/// Opens a file and reads its header. Palettes become RGB, transparent colors alpha, fewer than 8
/// bits 8. Returns NULL, with a message, for a file that is missing or not a PNG, and where pixels are wanted
/// for one whose data cannot be enough for its size.
cpng_reader *cpng_open(const char *path, int wants_pixels, cpng_header *header,
                       char message[CPNG_MESSAGE]);

/// Reads all samples, in native byte order. Returns 0 on success.
int cpng_read(cpng_reader *reader, uint16_t *samples, char message[CPNG_MESSAGE]);

/// The chunks that say what pixels mean, one after the other as a file holds them: length, type, data
/// and checksum. Valid until the reader is closed.
const uint8_t *cpng_chunks(const cpng_reader *reader, size_t *size);

void cpng_close(cpng_reader *reader);

/// Writes a file, with such chunks. Returns 0 on success.
int cpng_write(const char *path, const cpng_header *header, const uint16_t *samples,
               const uint8_t *chunks, size_t chunk_size, char message[CPNG_MESSAGE]);

/// The bytes of such a file, to be freed; NULL where memory does not suffice.
uint8_t *cpng_encode(const cpng_header *header, const uint16_t *samples, const uint8_t *chunks, size_t chunk_size,
                     size_t *size);

#endif
