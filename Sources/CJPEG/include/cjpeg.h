// JPEG files through libjpeg-turbo, with its error handling (setjmp) kept on the C side.
#ifndef CJPEG_H
#define CJPEG_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint32_t width, height;
  int channels;  // 1 gray, 3 RGB
  int density_unit, density_x, density_y;  // unit 0 none, 1 per inch, 2 per centimeter
} cjpeg_header;

typedef struct cjpeg_reader cjpeg_reader;

#define CJPEG_MESSAGE 256

/// Opens a file and reads its header. Returns NULL, with a message, for a file that is missing or not a JPEG.
cjpeg_reader *cjpeg_open(const char *path, cjpeg_header *header, char message[CJPEG_MESSAGE]);

/// Reads all samples. Data that end early, or cannot be decoded, are an error. Returns 0 on success.
int cjpeg_read(cjpeg_reader *reader, uint16_t *samples);

/// The data of a marker segment of the header, in order: its kind is 0xE1 (APP1) or 0xFE (a comment). NULL after the
/// last. Valid until the reader is closed.
const uint8_t *cjpeg_marker(const cjpeg_reader *reader, size_t index, int *kind, size_t *size);

/// The color profile, put together from its segments; NULL without one. To be freed.
uint8_t *cjpeg_profile(cjpeg_reader *reader, size_t *size);

void cjpeg_close(cjpeg_reader *reader);

/// A marker segment to write.
typedef struct {
  int kind;
  const uint8_t *data;
  size_t size;
} cjpeg_segment;

/// Writes a file, colors at full resolution. Returns 0 on success.
int cjpeg_write(const char *path, const cjpeg_header *header, const uint16_t *samples, int quality,
                const cjpeg_segment *segments, size_t segment_count, const uint8_t *profile,
                size_t profile_size, char message[CJPEG_MESSAGE]);

/// Turns or flips a whole file on its coefficients, without decoding it; marker segments are kept as they are.
///
/// `operation` has bit 0 for "transposed", then 1 for "columns from the right end", then 2 for "rows from below". What is no
/// whole number of blocks at a side that moves is cut off with `trims`; without, it is refused. Returns the file, of `*size`
/// bytes, to be released by `cjpeg_release`, or NULL.
uint8_t *cjpeg_turn(const uint8_t *file, size_t file_size, int operation, int trims, size_t *size);

void cjpeg_release(uint8_t *file);

#endif
