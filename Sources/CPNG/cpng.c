#include "cpng.h"

#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cpng_reader {
  FILE *file;
  png_structp png;
  png_infop info;
  uint32_t height;
  size_t row_bytes;
};

static void cpng_fail(png_structp png, png_const_charp text) {
  char *message = png_get_error_ptr(png);
  snprintf(message, CPNG_MESSAGE, "%s", text);
  png_longjmp(png, 1);
}
static void cpng_ignore(png_structp png, png_const_charp text) { (void)png, (void)text; }

cpng_reader *cpng_open(const char *path, cpng_header *header, char message[CPNG_MESSAGE]) {
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
  reader->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, message, cpng_fail, cpng_ignore);
  reader->info = reader->png ? png_create_info_struct(reader->png) : NULL;
  if (!reader->info || setjmp(png_jmpbuf(reader->png))) {
    cpng_close(reader);
    return NULL;
  }
  png_init_io(reader->png, reader->file);
  png_set_sig_bytes(reader->png, 8);
  png_read_info(reader->png, reader->info);
  png_set_expand(reader->png);  // palettes, tRNS, fewer than 8 bits
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  png_set_swap(reader->png);
#endif
  png_set_interlace_handling(reader->png);
  png_read_update_info(reader->png, reader->info);
  header->width = png_get_image_width(reader->png, reader->info);
  header->height = reader->height = png_get_image_height(reader->png, reader->info);
  header->channels = png_get_channels(reader->png, reader->info);
  header->bit_depth = png_get_bit_depth(reader->png, reader->info);
  reader->row_bytes = png_get_rowbytes(reader->png, reader->info);
  return reader;
}

int cpng_read(cpng_reader *reader, void *samples, char message[CPNG_MESSAGE]) {
  (void)message;  // cpng_fail writes to the buffer given to cpng_open
  png_bytep *volatile rows = malloc(reader->height * sizeof *rows);
  if (!rows) return 1;
  for (uint32_t y = 0; y < reader->height; y++) rows[y] = (png_bytep)samples + y * reader->row_bytes;
  if (setjmp(png_jmpbuf(reader->png))) {
    free(rows);
    return 1;
  }
  png_read_image(reader->png, rows);
  png_read_end(reader->png, NULL);
  free(rows);
  return 0;
}

void cpng_close(cpng_reader *reader) {
  if (reader->png) png_destroy_read_struct(&reader->png, &reader->info, NULL);
  fclose(reader->file);
  free(reader);
}

int cpng_write(const char *path, const cpng_header *header, const void *samples,
               char message[CPNG_MESSAGE]) {
  FILE *file = fopen(path, "wb");
  if (!file) {
    snprintf(message, CPNG_MESSAGE, "%s", strerror(errno));
    return 1;
  }
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, message, cpng_fail, cpng_ignore);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (!info || setjmp(png_jmpbuf(png))) {
    png_destroy_write_struct(&png, &info);
    fclose(file);
    return 1;
  }
  static const int colors[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                               PNG_COLOR_TYPE_RGB_ALPHA};
  png_init_io(png, file);
  png_set_compression_level(png, 4);
  png_set_IHDR(png, info, header->width, header->height, header->bit_depth,
               colors[header->channels], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  if (header->bit_depth == 16) png_set_swap(png);
#endif
  const size_t row_bytes = (size_t)header->width * (size_t)header->channels * (size_t)(header->bit_depth / 8);
  for (uint32_t y = 0; y < header->height; y++) png_write_row(png, (png_const_bytep)samples + y * row_bytes);
  png_write_end(png, NULL);
  png_destroy_write_struct(&png, &info);
  const int failed = ferror(file);
  if (fclose(file) || failed) {
    snprintf(message, CPNG_MESSAGE, "%s", strerror(errno));
    return 1;
  }
  return 0;
}
