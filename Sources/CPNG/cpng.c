#include "cpng.h"

#include <errno.h>
#include <fcntl.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct cpng_reader {
  FILE *file;
  png_structp png;
  png_infop info;
  uint32_t height;
  size_t row_bytes;
  int bit_depth;
  uint8_t *chunks;
  size_t chunk_size;
  uint64_t compressed;
};

static void cpng_fail(png_structp png, png_const_charp text) {
  char *message = png_get_error_ptr(png);
  snprintf(message, CPNG_MESSAGE, "%s", text);
  png_longjmp(png, 1);
}
static void cpng_ignore(png_structp png, png_const_charp text) { (void)png, (void)text; }

static uint32_t cpng_number(const uint8_t *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/// Which of the kept kinds a chunk is, −1 for none: color, resolution, texts, time and EXIF. What describes a palette, or
/// the frames of an animation, does not fit the pixels any more. Texts come last: there may be several.
static int cpng_kind(const uint8_t *type) {
  static const char kept[] = "cHRMgAMAiCCPsBITsRGBcICPmDCVcLLIpHYstIMEeXIfiTXttEXtzTXt";
  for (int i = 0; i < (int)sizeof kept / 4; i++)
    if (!memcmp(type, kept + 4 * i, 4)) return i;
  return -1;
}
enum { CPNG_TIME = 9, CPNG_TEXTS = 11 };

/// Whether a chunk is kept. One that says what an earlier one said, or of color and resolution after the pixels, is what
/// decoders ignore.
static int cpng_keeps(uint32_t *seen, const uint8_t *type, int is_after_pixels) {
  const int kind = cpng_kind(type);
  if (kind < 0 || (is_after_pixels && kind < CPNG_TIME)) return 0;
  if (kind < CPNG_TEXTS && *seen >> kind & 1) return 0;
  *seen |= 1u << kind;
  return 1;
}

/// Walks through the chunks: keeps those to be kept, counts the bytes of pixels. No declared length is believed:
/// libpng would ask for the memory first.
static int cpng_scan(cpng_reader *reader, char *message) {
  fseeko(reader->file, 0, SEEK_END);
  const off_t size = ftello(reader->file);
  uint8_t head[8];
  uint32_t seen = 0;
  for (off_t at = 8; at + 12 <= size;) {
    if (fseeko(reader->file, at, SEEK_SET) || fread(head, 1, 8, reader->file) != 8) break;
    const uint32_t length = cpng_number(head);
    if (length > 0x7fffffff || (off_t)length > size - at - 12) {
      snprintf(message, CPNG_MESSAGE, "it is cut short");
      return 1;
    }
    if (!memcmp(head + 4, "IDAT", 4)) reader->compressed += length;
    if (!memcmp(head + 4, "IEND", 4)) break;
    const size_t whole = (size_t)length + 12;
    if (whole <= CPNG_KEPT_LIMIT - reader->chunk_size && cpng_keeps(&seen, head + 4, reader->compressed > 0)) {
      uint8_t *grown = realloc(reader->chunks, reader->chunk_size + whole);
      if (!grown) return 1;
      reader->chunks = grown;
      uint8_t *chunk = grown + reader->chunk_size;
      memcpy(chunk, head, 8);
      if (fread(chunk + 8, 1, length + 4, reader->file) != length + 4) break;
      if (crc32(0, chunk + 4, length + 4) == cpng_number(chunk + 8 + length))
        reader->chunk_size += whole;
    }
    at += (off_t)whole;
  }
  return fseeko(reader->file, 8, SEEK_SET) != 0;
}

size_t cpng_plain_samples(const char *path) {
  enum { DEPTH = 24, COLOR, COMPRESSION, FILTER, INTERLACE, SUM, PIXELS = SUM + 8, END = PIXELS + 4 };
  static const int channels[7] = {[0] = 1, [2] = 3, [4] = 2, [6] = 4};
  uint8_t head[END];
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const ssize_t got = read(file, head, END);
  close(file);
  if (got != END || png_sig_cmp(head, 0, 8) || memcmp(head + 8, "\0\0\0\rIHDR", 8) || memcmp(head + PIXELS, "IDAT", 4) ||
      crc32(0, head + 12, 17) != cpng_number(head + SUM))
    return 0;
  const int depth = head[DEPTH], color = head[COLOR];
  // Palettes are left to libpng, and few bits of a color, which only gray may have.
  const int is_known = color < 7 && channels[color] && (depth == 8 || depth == 16) && !head[COMPRESSION] && !head[FILTER] && head[INTERLACE] < 2;
  const uint32_t width = cpng_number(head + 16), height = cpng_number(head + 20);
  const uint32_t most = 65536;
  if (!is_known || width == 0 || height == 0 || width > most || height > most) return 0;
  return (size_t)width * height * (size_t)channels[color];
}

cpng_reader *cpng_open(const char *path, int wants_pixels, cpng_header *header,
                       char message[CPNG_MESSAGE]) {
  cpng_reader *reader = calloc(1, sizeof *reader);
  if (!reader) return NULL;
  reader->file = fopen(path, "rb");
  if (!reader->file) {
    snprintf(message, CPNG_MESSAGE, "%s", strerror(errno));
    free(reader);
    return NULL;
  }
  unsigned char signature[8];
  const size_t got = fread(signature, 1, 8, reader->file);
  if (got < 8 || png_sig_cmp(signature, 0, 8)) {
    snprintf(message, CPNG_MESSAGE, got == 0 ? "the file is empty or not readable" : "not a PNG file");
    cpng_close(reader);
    return NULL;
  }
  if (wants_pixels && cpng_scan(reader, message)) {
    cpng_close(reader);
    return NULL;
  }
  reader->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, message, cpng_fail, cpng_ignore);
  reader->info = reader->png ? png_create_info_struct(reader->png) : NULL;
  if (!reader->info || setjmp(png_jmpbuf(reader->png))) {
    cpng_close(reader);
    return NULL;
  }
  // What is kept was read as it is; libpng need not unpack it.
  png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_set_chunk_malloc_max(reader->png, 8u << 20);
  png_init_io(reader->png, reader->file);
  png_set_sig_bytes(reader->png, 8);
  png_read_info(reader->png, reader->info);
  // Deflate packs 1032 bytes into one at most.
  const uint64_t raw =
      (uint64_t)png_get_rowbytes(reader->png, reader->info) * png_get_image_height(reader->png, reader->info);
  const int is_short = wants_pixels && raw / 1032 > reader->compressed;
  png_set_expand(reader->png);  // palettes, tRNS, fewer than 8 bits
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  png_set_swap(reader->png);
#endif
  png_set_interlace_handling(reader->png);
  png_read_update_info(reader->png, reader->info);
  header->width = png_get_image_width(reader->png, reader->info);
  header->height = reader->height = png_get_image_height(reader->png, reader->info);
  header->channels = png_get_channels(reader->png, reader->info);
  header->bit_depth = reader->bit_depth = png_get_bit_depth(reader->png, reader->info);
  reader->row_bytes = png_get_rowbytes(reader->png, reader->info);
  if (is_short) {
    snprintf(message, CPNG_MESSAGE, "it declares %u × %u pixels and holds data for fewer", header->width,
             header->height);
    cpng_close(reader);
    return NULL;
  }
  return reader;
}

int cpng_read(cpng_reader *reader, uint16_t *samples, char message[CPNG_MESSAGE]) {
  (void)message;  // cpng_fail writes to the buffer given to cpng_open
  png_bytep *volatile rows = malloc(reader->height * sizeof *rows);
  if (!rows) return 1;
  // Bytes are read into the first half, and widened from the end: no second buffer.
  for (uint32_t y = 0; y < reader->height; y++) rows[y] = (png_bytep)samples + y * reader->row_bytes;
  if (setjmp(png_jmpbuf(reader->png))) {
    free(rows);
    return 1;
  }
  png_read_image(reader->png, rows);
  png_read_end(reader->png, NULL);
  free(rows);
  if (reader->bit_depth == 8) {
    const png_const_bytep bytes = (png_const_bytep)samples;
    for (size_t i = reader->height * reader->row_bytes; i-- > 0;) samples[i] = bytes[i];
  }
  return 0;
}

const uint8_t *cpng_chunks(const cpng_reader *reader, size_t *size) {
  *size = reader->chunk_size;
  return reader->chunks;
}

void cpng_close(cpng_reader *reader) {
  if (reader->png) png_destroy_read_struct(&reader->png, &reader->info, NULL);
  fclose(reader->file);
  free(reader->chunks);
  free(reader);
}

/// A row of samples as a file holds it.
static void cpng_pack(const uint16_t *samples, size_t count, int bit_depth, uint8_t *row) {
  if (bit_depth == 8) {
    for (size_t i = 0; i < count; i++) row[i] = (uint8_t)samples[i];
    return;
  }
  for (size_t i = 0; i < count; i++) {
    row[2 * i] = (uint8_t)(samples[i] >> 8);
    row[2 * i + 1] = (uint8_t)samples[i];
  }
}

static void cpng_count(png_structp png, png_bytep data, size_t size) {
  (void)data;
  *(size_t *)png_get_io_ptr(png) += size;
}

static void cpng_flush_nothing(png_structp png) { (void)png; }

static const int cpng_colors[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};

static void cpng_begin(png_structp png, png_infop info, const cpng_header *header, uint32_t height, int strategy) {
  // Small pictures by the three simple filters of five, and without looking for later matches: digits of 28 x 28 take a quarter less
  // time and 8 % fewer bytes, photographs of 32 x 32 a quarter less time and 2.5 % more bytes.
  const int is_small = (size_t)header->width * height * (size_t)header->channels <= 1 << 14;
  png_set_compression_level(png, is_small ? 3 : 4);
  if (is_small) png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FAST_FILTERS);
  if (strategy != Z_FILTERED) png_set_compression_strategy(png, strategy);
  png_set_IHDR(png, info, header->width, height, header->bit_depth, cpng_colors[header->channels], PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  // Memory for as many symbols as there are bytes: that of large pictures takes longer to clear than a small one to pack.
  const size_t bytes = (png_get_rowbytes(png, info) + 1) * height;
  int memory = 8;
  while (memory > 4 && bytes < (size_t)1 << (memory + 5)) memory--;
  png_set_compression_mem_level(png, memory);
  png_write_info(png, info);
}

/// How many bytes a file of some rows has by a strategy of zlib, 0 where that cannot be said.
static size_t cpng_size(const cpng_header *header, const uint16_t *samples, uint32_t rows, int strategy) {
  char message[CPNG_MESSAGE];
  const size_t count = (size_t)header->width * (size_t)header->channels;
  size_t size = 0;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, message, cpng_fail, cpng_ignore);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  uint8_t *const row = malloc(count * 2);
  if (!info || !row || setjmp(png_jmpbuf(png))) {
    png_destroy_write_struct(&png, &info);
    free(row);
    return 0;
  }
  png_set_write_fn(png, &size, cpng_count, cpng_flush_nothing);
  cpng_begin(png, info, header, rows, strategy);
  for (uint32_t y = 0; y < rows; y++) {
    cpng_pack(samples + y * count, count, header->bit_depth, row);
    png_write_row(png, row);
  }
  png_write_end(png, NULL);
  png_destroy_write_struct(&png, &info);
  free(row);
  return size;
}

/// Whether a picture is as small where zlib looks for runs alone (Z_RLE), by three bands of it, each of twice what zlib looks back. Of
/// photographs and scans, whose noise hardly ever repeats, it is, and written three times as fast; of drawings with patterns it is not.
static int cpng_repeats_nothing(const cpng_header *header, const uint16_t *samples) {
  const size_t count = (size_t)header->width * (size_t)header->channels, bytes = count * (size_t)header->bit_depth / 8;
  const size_t rows = bytes > 2048 ? 32 : 65536 / bytes + 1;
  if (count * header->height < 1 << 20 || header->height < 12 * rows) return 0;
  size_t any = 0, runs = 0;
  for (size_t n = 0; n < 3; n++) {
    const uint16_t *const band = samples + (header->height - rows) * (2 * n + 1) / 6 * count;
    const size_t size = cpng_size(header, band, (uint32_t)rows, Z_FILTERED);
    if (size == 0) return 0;
    any += size;
    runs += cpng_size(header, band, (uint32_t)rows, Z_RLE);
  }
  return runs <= any + any / 50;
}

/// Writes to a stream, and closes it.
static int cpng_put(FILE *file, const cpng_header *header, const uint16_t *samples, const uint8_t *chunks,
                    size_t chunk_size, char message[CPNG_MESSAGE]) {
  if (!file) {
    snprintf(message, CPNG_MESSAGE, "%s", strerror(errno));
    return 1;
  }
  const int strategy = cpng_repeats_nothing(header, samples) ? Z_RLE : Z_FILTERED;
  const size_t row_samples = (size_t)header->width * (size_t)header->channels;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, message, cpng_fail, cpng_ignore);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  uint8_t *const row = malloc(row_samples * 2);
  if (!info || !row || setjmp(png_jmpbuf(png))) {
    png_destroy_write_struct(&png, &info);
    free(row);
    fclose(file);
    return 1;
  }
  png_init_io(png, file);
  cpng_begin(png, info, header, header->height, strategy);
  for (size_t at = 0; at + 12 <= chunk_size;) {
    const uint32_t length = cpng_number(chunks + at);
    // The number of significant bits stands for each channel; one may have come to a palette's transparency.
    const int fits = memcmp(chunks + at + 4, "sBIT", 4) || length == (uint32_t)header->channels;
    if (fits) png_write_chunk(png, chunks + at + 4, chunks + at + 8, length);
    at += (size_t)length + 12;
  }
  for (uint32_t y = 0; y < header->height; y++) {
    cpng_pack(samples + y * row_samples, row_samples, header->bit_depth, row);
    png_write_row(png, row);
  }
  png_write_end(png, NULL);
  png_destroy_write_struct(&png, &info);
  free(row);
  const int failed = ferror(file);
  if (fclose(file) || failed) {
    snprintf(message, CPNG_MESSAGE, "%s", strerror(errno));
    return 1;
  }
  return 0;
}

int cpng_write(const char *path, const cpng_header *header, const uint16_t *samples,
               const uint8_t *chunks, size_t chunk_size, char message[CPNG_MESSAGE]) {
  return cpng_put(fopen(path, "wb"), header, samples, chunks, chunk_size, message);
}

uint8_t *cpng_encode(const cpng_header *header, const uint16_t *samples, const uint8_t *chunks, size_t chunk_size,
                     size_t *size) {
  char message[CPNG_MESSAGE], *bytes = NULL;
  FILE *const stream = open_memstream(&bytes, size);
  if (cpng_put(stream, header, samples, chunks, chunk_size, message)) {
    free(bytes);
    return NULL;
  }
  return (uint8_t *)bytes;
}
