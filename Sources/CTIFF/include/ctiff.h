// TIFF files through libtiff, whose tags are set by functions of variable arguments.
#ifndef CTIFF_H
#define CTIFF_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint32_t width, height;
  int channels;        // 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA
  int bit_depth;       // 8 or 16
  int orientation;     // as EXIF has it, 1 for none
  double x_per_meter, y_per_meter;  // 0 where it says nothing of lengths
} ctiff_header;

typedef struct ctiff_reader ctiff_reader;

#define CTIFF_MESSAGE 256
/// Tags that hold bytes, and tags that hold text.
enum { CTIFF_PROFILE = 34675, CTIFF_XMP = 700 };
enum { CTIFF_TITLE = 269, CTIFF_DESCRIPTION = 270, CTIFF_MAKE = 271, CTIFF_MODEL = 272, CTIFF_SOFTWARE = 305, CTIFF_TIME = 306, CTIFF_AUTHOR = 315, CTIFF_COPYRIGHT = 33432 };

/// How many pages a file has, with the one to which the way is damaged; 0 where it is no TIFF.
int ctiff_pages(const char *path);

/// Opens a page, the first is 0, and reads its header. Returns NULL, with a message, for a file that is missing, no TIFF, or of
/// a kind that is not read. No more than `memory` bytes are asked for at once.
ctiff_reader *ctiff_open(const char *path, int page, size_t memory, ctiff_header *header,
                         char message[CTIFF_MESSAGE]);

/// Reads all samples. Returns 0 on success.
int ctiff_read(ctiff_reader *reader, uint16_t *samples, char message[CTIFF_MESSAGE]);

/// What a tag of text holds, NULL without it. Valid until the reader is closed.
const char *ctiff_text(ctiff_reader *reader, int tag);

/// What a tag of bytes holds, NULL without it. Valid until the reader is closed.
const uint8_t *ctiff_bytes(ctiff_reader *reader, int tag, size_t *size);

void ctiff_close(ctiff_reader *reader);

/// A tag to write; text ends with a zero.
typedef struct {
  int tag;
  const uint8_t *data;
  size_t size;
} ctiff_tag;

/// Writes a file of one page, compressed without loss: black and white in one bit where all samples are that. Returns 0 on success.
int ctiff_write(const char *path, const ctiff_header *header, const uint16_t *samples,
                const ctiff_tag *tags, size_t tag_count, char message[CTIFF_MESSAGE]);

/// Writes the first pages of files that `ctiff_write` has written as one file, without decoding them. Returns 0 on success.
int ctiff_join(const char *const *pages, size_t count, const char *path, char message[CTIFF_MESSAGE]);

#endif
