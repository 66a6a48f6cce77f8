#include "cjpeg.h"

#include <clibrary.h>
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// After stdio, which they need.
#include <jerror.h>
#include <jpeglib.h>

// libjpeg, loaded where it is used. Its version is a part of its structures.
#define CJPEG_FUNCTIONS(X) \
  X(CreateCompress) X(CreateDecompress) X(destroy_compress) X(destroy_decompress) X(finish_compress) \
  X(finish_decompress) X(read_header) X(read_icc_profile) X(read_scanlines) X(save_markers) X(set_defaults) \
  X(set_quality) X(start_compress) X(start_decompress) X(std_error) X(stdio_dest) X(stdio_src) X(write_icc_profile) \
  X(write_marker) X(write_scanlines)
#if JPEG_LIB_VERSION >= 80
#define CJPEG_LIBRARY "libjpeg.so.8"
#elif JPEG_LIB_VERSION >= 70
#define CJPEG_LIBRARY "libjpeg.so.7"
#else
#define CJPEG_LIBRARY "libjpeg.so.62"
#endif

static struct {
#define X(name) __typeof__(&jpeg_##name) name;
  CJPEG_FUNCTIONS(X)
#undef X
} library;
static const char *const names[] = {
#define X(name) "jpeg_" #name,
  CJPEG_FUNCTIONS(X)
#undef X
};
static clibrary source = CLIBRARY(CJPEG_LIBRARY, names, library);

// Whether it is not there; the message says why.
static int is_missing(char *message) {
  const char *const reason = clibrary_missing(&source);
  if (reason) snprintf(message, CJPEG_MESSAGE, "%s", reason);
  return reason != NULL;
}

/// What libjpeg calls in the place of `exit`: the message is kept, and control goes back.
typedef struct {
  struct jpeg_error_mgr base;
  jmp_buf jump;
  char *message;
} cjpeg_errors;

static void cjpeg_fail(j_common_ptr jpeg) {
  cjpeg_errors *errors = (cjpeg_errors *)jpeg->err;
  char text[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, text);
  snprintf(errors->message, CJPEG_MESSAGE, "%s", text);
  longjmp(errors->jump, 1);
}

/// libjpeg only warns of data that end early or make no sense, and invents the rest: here these are errors.
static void cjpeg_warn(j_common_ptr jpeg, int level) {
  const int code = jpeg->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE))
    cjpeg_fail(jpeg);
}

static void cjpeg_prepare(cjpeg_errors *errors, char *message) {
  library.std_error(&errors->base);
  errors->base.error_exit = cjpeg_fail;
  errors->base.emit_message = cjpeg_warn;
  errors->message = message;
}

struct cjpeg_reader {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_progress_mgr progress;
  cjpeg_errors errors;
  FILE *file;
  char message[CJPEG_MESSAGE];
};

/// A progressive file of ten scans is usual; one of thousands takes hours for a few kilobytes.
static void cjpeg_watch(j_common_ptr jpeg) {
  cjpeg_reader *reader = (cjpeg_reader *)jpeg;
  if (reader->jpeg.input_scan_number <= 100) return;
  snprintf(reader->errors.message, CJPEG_MESSAGE, "it has more than 100 scans");
  longjmp(reader->errors.jump, 1);
}

cjpeg_reader *cjpeg_open(const char *path, cjpeg_header *header, char message[CJPEG_MESSAGE]) {
  if (is_missing(message)) return NULL;
  cjpeg_reader *reader = calloc(1, sizeof *reader);
  if (!reader) return NULL;
  reader->file = fopen(path, "rb");
  if (!reader->file) {
    snprintf(message, CJPEG_MESSAGE, "%s", strerror(errno));
    free(reader);
    return NULL;
  }
  cjpeg_prepare(&reader->errors, message);
  reader->jpeg.err = &reader->errors.base;
  if (setjmp(reader->errors.jump)) {
    cjpeg_close(reader);
    return NULL;
  }
  library.CreateDecompress(&reader->jpeg, JPEG_LIB_VERSION, sizeof reader->jpeg);
  reader->progress.progress_monitor = cjpeg_watch;
  reader->jpeg.progress = &reader->progress;
  library.stdio_src(&reader->jpeg, reader->file);
  library.save_markers(&reader->jpeg, JPEG_APP0 + 1, 0xFFFF);
  library.save_markers(&reader->jpeg, JPEG_APP0 + 2, 0xFFFF);
  library.save_markers(&reader->jpeg, JPEG_COM, 0xFFFF);
  library.read_header(&reader->jpeg, TRUE);
  const J_COLOR_SPACE space = reader->jpeg.jpeg_color_space;
  const int is_print = space == JCS_CMYK || space == JCS_YCCK;
  reader->jpeg.out_color_space = space == JCS_GRAYSCALE ? JCS_GRAYSCALE : is_print ? JCS_CMYK : JCS_RGB;
  header->width = reader->jpeg.image_width;
  header->height = reader->jpeg.image_height;
  header->channels = space == JCS_GRAYSCALE ? 1 : 3;
  header->density_unit = reader->jpeg.saw_JFIF_marker ? reader->jpeg.density_unit : 0;
  header->density_x = reader->jpeg.X_density;
  header->density_y = reader->jpeg.Y_density;
  // The caller's buffer is gone when pixels are read.
  reader->errors.message = reader->message;
  return reader;
}

int cjpeg_read(cjpeg_reader *reader, uint16_t *samples) {
  struct jpeg_decompress_struct *const jpeg = &reader->jpeg;
  if (setjmp(reader->errors.jump)) return 1;
  library.start_decompress(jpeg);
  const size_t width = jpeg->output_width, components = (size_t)jpeg->output_components;
  // Of libjpeg's own pool: freed with it, also after an error.
  JSAMPARRAY row = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, (JDIMENSION)(width * components), 1);
  while (jpeg->output_scanline < jpeg->output_height) {
    library.read_scanlines(jpeg, row, 1);
    const JSAMPLE *const from = row[0];
    if (components == 4) {
      // Adobe's files hold inks inverted, others as they are.
      for (size_t x = 0; x < width; x++, samples += 3) {
        int ink[4];
        for (int c = 0; c < 4; c++) ink[c] = jpeg->saw_Adobe_marker ? from[4 * x + c] : 255 - from[4 * x + c];
        for (int c = 0; c < 3; c++) samples[c] = (uint16_t)((ink[c] * ink[3] + 127) / 255);
      }
    } else {
      for (size_t i = 0; i < width * components; i++) *samples++ = from[i];
    }
  }
  library.finish_decompress(jpeg);
  return 0;
}

const uint8_t *cjpeg_marker(const cjpeg_reader *reader, size_t index, int *kind, size_t *size) {
  for (jpeg_saved_marker_ptr at = reader->jpeg.marker_list; at; at = at->next) {
    if (at->marker == JPEG_APP0 + 2 || index-- > 0) continue;
    *kind = at->marker;
    *size = at->data_length;
    return at->data;
  }
  return NULL;
}

uint8_t *cjpeg_profile(cjpeg_reader *reader, size_t *size) {
  JOCTET *data = NULL;
  unsigned int length = 0;
  // A profile of inks says nothing of the colors that they are made into.
  if (reader->jpeg.out_color_space == JCS_CMYK) return NULL;
  if (setjmp(reader->errors.jump)) return NULL;
  if (!library.read_icc_profile(&reader->jpeg, &data, &length)) return NULL;
  *size = length;
  return data;
}

void cjpeg_close(cjpeg_reader *reader) {
  library.destroy_decompress(&reader->jpeg);
  fclose(reader->file);
  free(reader);
}

int cjpeg_write(const char *path, const cjpeg_header *header, const uint16_t *samples, int quality,
                const cjpeg_segment *segments, size_t segment_count, const uint8_t *profile,
                size_t profile_size, char message[CJPEG_MESSAGE]) {
  if (is_missing(message)) return 1;
  FILE *const file = fopen(path, "wb");
  if (!file) {
    snprintf(message, CJPEG_MESSAGE, "%s", strerror(errno));
    return 1;
  }
  struct jpeg_compress_struct jpeg = {0};
  cjpeg_errors errors;
  cjpeg_prepare(&errors, message);
  jpeg.err = &errors.base;
  if (setjmp(errors.jump)) {
    library.destroy_compress(&jpeg);
    fclose(file);
    return 1;
  }
  library.CreateCompress(&jpeg, JPEG_LIB_VERSION, sizeof jpeg);
  library.stdio_dest(&jpeg, file);
  jpeg.image_width = header->width;
  jpeg.image_height = header->height;
  jpeg.input_components = header->channels;
  jpeg.in_color_space = header->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  library.set_defaults(&jpeg);
  library.set_quality(&jpeg, quality, TRUE);
  jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = 1;
  jpeg.optimize_coding = TRUE;
  jpeg.density_unit = (UINT8)header->density_unit;
  jpeg.X_density = (UINT16)header->density_x;
  jpeg.Y_density = (UINT16)header->density_y;
  library.start_compress(&jpeg, TRUE);
  for (size_t n = 0; n < segment_count; n++)
    library.write_marker(&jpeg, segments[n].kind, segments[n].data, (unsigned int)segments[n].size);
  if (profile_size > 0) library.write_icc_profile(&jpeg, profile, (unsigned int)profile_size);
  const size_t width = (size_t)header->width * (size_t)header->channels;
  JSAMPARRAY row = jpeg.mem->alloc_sarray((j_common_ptr)&jpeg, JPOOL_IMAGE, (JDIMENSION)width, 1);
  while (jpeg.next_scanline < jpeg.image_height) {
    const uint16_t *const from = samples + jpeg.next_scanline * width;
    for (size_t i = 0; i < width; i++) row[0][i] = (JSAMPLE)from[i];
    library.write_scanlines(&jpeg, row, 1);
  }
  library.finish_compress(&jpeg);
  library.destroy_compress(&jpeg);
  const int failed = ferror(file);
  if (fclose(file) || failed) {
    snprintf(message, CJPEG_MESSAGE, "%s", strerror(errno));
    return 1;
  }
  return 0;
}
