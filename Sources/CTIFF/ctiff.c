#include "ctiff.h"

#include <clibrary.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tiffio.h>

// libtiff, loaded where it is used: it brings seven more libraries along, which would take 2 ms of every start.
#define CTIFF_FUNCTIONS(X) \
  X(Close) X(DefaultStripSize) X(Flush) X(GetField) X(GetFieldDefaulted) X(IsTiled) X(NumberOfDirectories) \
  X(NumberOfStrips) X(OpenExt) X(OpenOptionsAlloc) X(OpenOptionsFree) X(OpenOptionsSetErrorHandlerExtR) \
  X(OpenOptionsSetMaxSingleMemAlloc) X(OpenOptionsSetWarningHandlerExtR) X(RGBAImageOK) X(RawStripSize64) \
  X(ReadRGBAImageOriented) X(ReadRawStrip) X(ReadScanline) X(ScanlineSize) X(SetDirectory) X(SetField) \
  X(WriteDirectory) X(WriteRawStrip) X(WriteScanline)

static struct {
#define X(name) __typeof__(&TIFF##name) name;
  CTIFF_FUNCTIONS(X)
#undef X
} library;
static const char *const names[] = {
#define X(name) "TIFF" #name,
  CTIFF_FUNCTIONS(X)
#undef X
};
static clibrary source = CLIBRARY("libtiff.so.6", names, library);

/// The first error of a file is kept: what follows is its consequence.
typedef struct {
  char text[CTIFF_MESSAGE];
} ctiff_errors;

static int ctiff_fail(TIFF *tiff, void *data, const char *module, const char *format, va_list arguments) {
  (void)tiff, (void)module;
  ctiff_errors *const errors = data;
  if (!errors->text[0]) vsnprintf(errors->text, CTIFF_MESSAGE, format, arguments);
  return 1;
}

static int ctiff_ignore(TIFF *tiff, void *data, const char *module, const char *format, va_list arguments) {
  (void)tiff, (void)data, (void)module, (void)format, (void)arguments;
  return 1;
}

static TIFF *ctiff_file(const char *path, const char *mode, size_t memory, ctiff_errors *errors) {
  if (clibrary_missing(&source)) {
    snprintf(errors->text, CTIFF_MESSAGE, "%s", clibrary_missing(&source));
    return NULL;
  }
  TIFFOpenOptions *const options = library.OpenOptionsAlloc();
  if (!options) return NULL;
  if (memory) library.OpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)memory);
  library.OpenOptionsSetErrorHandlerExtR(options, ctiff_fail, errors);
  library.OpenOptionsSetWarningHandlerExtR(options, ctiff_ignore, NULL);
  errno = 0;
  TIFF *const tiff = library.OpenExt(path, mode, options);
  if (!tiff && !errors->text[0] && errno) snprintf(errors->text, CTIFF_MESSAGE, "%s", strerror(errno));
  library.OpenOptionsFree(options);
  return tiff;
}

struct ctiff_reader {
  TIFF *tiff;
  ctiff_errors errors;
  uint32_t width, height;
  uint16_t bits, samples, photometric;
  int channels, is_plain, is_premultiplied;
};

int ctiff_pages(const char *path) {
  ctiff_errors errors = {{0}};
  TIFF *const tiff = ctiff_file(path, "r", 1u << 28, &errors);
  // A page of a file that is not read for want of libtiff says so.
  if (!tiff) return clibrary_missing(&source) != NULL;
  const int count = (int)library.NumberOfDirectories(tiff);
  library.Close(tiff);
  // Where the way to the next one is damaged, that one is a page too, which cannot be read.
  return count + (errors.text[0] != 0);
}

/// Whether samples can be taken from rows as they are; everything else goes through libtiff's conversion to RGBA of 8 bits.
static int ctiff_is_plain(const ctiff_reader *reader, uint16_t planes) {
  const int is_gray = reader->photometric == PHOTOMETRIC_MINISWHITE || reader->photometric == PHOTOMETRIC_MINISBLACK;
  if (library.IsTiled(reader->tiff) || (reader->samples > 1 && planes != PLANARCONFIG_CONTIG)) return 0;
  if (reader->bits == 8 || reader->bits == 16) return is_gray || (reader->photometric == PHOTOMETRIC_RGB && reader->samples >= 3);
  return is_gray && reader->samples == 1 && (reader->bits == 1 || reader->bits == 2 || reader->bits == 4);
}

ctiff_reader *ctiff_open(const char *path, int page, size_t memory, ctiff_header *header, char *message) {
  ctiff_reader *const reader = calloc(1, sizeof *reader);
  if (!reader) return NULL;
  reader->tiff = ctiff_file(path, "r", memory, &reader->errors);
  TIFF *const tiff = reader->tiff;
  if (!tiff || (page > 0 && !library.SetDirectory(tiff, (tdir_t)page))) {
    snprintf(message, CTIFF_MESSAGE, "%s", reader->errors.text[0] ? reader->errors.text : tiff ? "it has no such page" : "it is no TIFF file");
    ctiff_close(reader);
    return NULL;
  }
  uint16_t planes = PLANARCONFIG_CONTIG, format = SAMPLEFORMAT_UINT, orientation = 1, unit = RESUNIT_INCH, extra = 0, *kinds = NULL;
  float x = 0, y = 0;
  library.GetField(tiff, TIFFTAG_IMAGEWIDTH, &reader->width);
  library.GetField(tiff, TIFFTAG_IMAGELENGTH, &reader->height);
  library.GetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &reader->bits);
  library.GetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &reader->samples);
  library.GetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planes);
  library.GetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
  library.GetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &orientation);
  library.GetFieldDefaulted(tiff, TIFFTAG_RESOLUTIONUNIT, &unit);
  library.GetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &extra, &kinds);
  const int has_kind = library.GetField(tiff, TIFFTAG_PHOTOMETRIC, &reader->photometric);
  const int has_resolution = library.GetField(tiff, TIFFTAG_XRESOLUTION, &x) && library.GetField(tiff, TIFFTAG_YRESOLUTION, &y);
  const int is_gray = reader->photometric == PHOTOMETRIC_MINISWHITE || reader->photometric == PHOTOMETRIC_MINISBLACK;
  const int colors = is_gray ? 1 : 3;
  const int has_alpha = extra > 0 && kinds && reader->samples > colors && kinds[0] != EXTRASAMPLE_UNSPECIFIED;
  reader->is_premultiplied = has_alpha && kinds[0] == EXTRASAMPLE_ASSOCALPHA;
  reader->is_plain = ctiff_is_plain(reader, planes);
  reader->channels = colors + has_alpha;
  char text[1024] = "";
  if (reader->width == 0 || reader->height == 0 || !has_kind)
    snprintf(text, sizeof text, "its header is damaged");
  else if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID)
    snprintf(text, sizeof text, "its samples are no whole numbers");
  else if (!reader->is_plain && reader->bits > 8)
    snprintf(text, sizeof text, "its samples of %d bits lie in tiles or planes, or are of a kind that is not read", reader->bits);
  else if (!reader->is_plain && has_alpha)
    // libtiff's conversion multiplies colors by alpha, in 8 bits: they would not be what they were.
    snprintf(text, sizeof text, "it has transparency in tiles or planes, which are not read");
  else if (!reader->is_plain)
    library.RGBAImageOK(tiff, text);
  if (text[0]) {
    snprintf(message, CTIFF_MESSAGE, "%.200s", text);
    ctiff_close(reader);
    return NULL;
  }
  header->width = reader->width;
  header->height = reader->height;
  header->channels = reader->channels;
  header->bit_depth = reader->bits == 16 ? 16 : 8;
  header->orientation = orientation;
  const double meter = unit == RESUNIT_INCH ? 1 / 0.0254 : unit == RESUNIT_CENTIMETER ? 100 : 0;
  header->x_per_meter = has_resolution ? x * meter : 0;
  header->y_per_meter = has_resolution ? y * meter : 0;
  return reader;
}

static uint16_t ctiff_straight(uint32_t value, uint32_t alpha, uint32_t top) {
  const uint32_t full = alpha ? (uint32_t)(((uint64_t)value * top + alpha / 2) / alpha) : 0;
  return (uint16_t)(full < top ? full : top);
}

static int ctiff_read_rows(ctiff_reader *reader, uint16_t *samples) {
  uint8_t *const row = malloc((size_t)library.ScanlineSize(reader->tiff));
  if (!row) return 1;
  const int bits = reader->bits, channels = reader->channels, colors = channels < 3 ? 1 : 3;
  const uint32_t top = bits == 16 ? 65535 : 255, inverted = reader->photometric == PHOTOMETRIC_MINISWHITE ? top : 0;
  const uint32_t mask = (1u << (bits < 8 ? bits : 8)) - 1;
  for (uint32_t y = 0; y < reader->height; y++) {
    if (library.ReadScanline(reader->tiff, row, y, 0) < 0) {
      free(row);
      return 1;
    }
    for (size_t x = 0; x < reader->width; x++) {
      uint32_t values[4];
      for (int c = 0; c < channels; c++) {
        const size_t at = x * reader->samples + (size_t)c;
        values[c] = bits == 16  ? ((const uint16_t *)row)[at]
                    : bits == 8 ? row[at]
                                : (row[at * (size_t)bits / 8] >> (8 - bits - at * (size_t)bits % 8) & mask) * (255 / mask);
        if (c < colors) values[c] = inverted ? inverted - values[c] : values[c];
      }
      for (int c = 0; c < channels; c++)
        *samples++ = reader->is_premultiplied && c < colors ? ctiff_straight(values[c], values[channels - 1], top) : (uint16_t)values[c];
    }
  }
  free(row);
  return 0;
}

static int ctiff_read_converted(ctiff_reader *reader, uint16_t *samples) {
  const size_t count = (size_t)reader->width * reader->height;
  uint32_t *const raster = malloc(count * sizeof *raster);
  uint16_t orientation = ORIENTATION_TOPLEFT;
  library.GetFieldDefaulted(reader->tiff, TIFFTAG_ORIENTATION, &orientation);
  // In the order in which it is stored, whatever that is: turning it upright is not libtiff's.
  if (!raster || !library.ReadRGBAImageOriented(reader->tiff, reader->width, reader->height, raster, orientation, 1)) {
    free(raster);
    return 1;
  }
  for (size_t i = 0; i < count; i++) {
    const uint32_t colors[3] = {TIFFGetR(raster[i]), TIFFGetG(raster[i]), TIFFGetB(raster[i])};
    for (int c = 0; c < reader->channels; c++) *samples++ = (uint16_t)colors[c];
  }
  free(raster);
  return 0;
}

int ctiff_read(ctiff_reader *reader, uint16_t *samples, char *message) {
  const int failed = reader->is_plain ? ctiff_read_rows(reader, samples) : ctiff_read_converted(reader, samples);
  if (failed) snprintf(message, CTIFF_MESSAGE, "%s", reader->errors.text[0] ? reader->errors.text : "its data are damaged");
  return failed;
}

const char *ctiff_text(ctiff_reader *reader, int tag) {
  const char *text = NULL;
  return library.GetField(reader->tiff, (uint32_t)tag, &text) ? text : NULL;
}

const uint8_t *ctiff_bytes(ctiff_reader *reader, int tag, size_t *size) {
  uint32_t count = 0;
  const uint8_t *bytes = NULL;
  // A profile of inks says nothing of the colors that they were made into.
  if (tag == CTIFF_PROFILE && reader->photometric == PHOTOMETRIC_SEPARATED) return NULL;
  if (!library.GetField(reader->tiff, (uint32_t)tag, &count, &bytes)) return NULL;
  *size = count;
  return bytes;
}

void ctiff_close(ctiff_reader *reader) {
  if (reader->tiff) library.Close(reader->tiff);
  free(reader);
}

/// Whether all samples are black or white.
static int ctiff_is_bilevel(const ctiff_header *header, const uint16_t *samples) {
  if (header->channels != 1 || header->bit_depth != 8) return 0;
  const size_t count = (size_t)header->width * header->height;
  for (size_t i = 0; i < count; i++)
    if (samples[i] != 0 && samples[i] != 255) return 0;
  return 1;
}

static void ctiff_pack(const uint16_t *from, size_t count, int bits, uint8_t *row) {
  if (bits == 16) {
    memcpy(row, from, 2 * count);
  } else if (bits == 8) {
    for (size_t i = 0; i < count; i++) row[i] = (uint8_t)from[i];
  } else {
    memset(row, 0, (count + 7) / 8);
    for (size_t i = 0; i < count; i++)
      if (!from[i]) row[i / 8] |= (uint8_t)(0x80 >> i % 8);
  }
}

/// Pixels an inch: whole ones where pixels a meter, which are kept as whole numbers, come from these.
static double ctiff_per_inch(double per_meter) {
  const double inch = per_meter * 0.0254, whole = (double)(uint64_t)(inch + 0.5);
  return inch - whole < 0.02 && whole - inch < 0.02 ? whole : inch;
}

int ctiff_write(const char *path, const ctiff_header *header, const uint16_t *samples, const ctiff_tag *tags,
                size_t tag_count, char *message) {
  const size_t count = (size_t)header->width * (size_t)header->channels;
  const int bits = ctiff_is_bilevel(header, samples) ? 1 : header->bit_depth;
  ctiff_errors errors = {{0}};
  // Beyond 4 GiB places need more than 32 bits.
  TIFF *const tiff = ctiff_file(path, count * header->height * 2 > 3u << 30 ? "w8" : "w", 0, &errors);
  uint8_t *const row = malloc(2 * count);
  int failed = !tiff || !row;
  if (!failed) {
    library.SetField(tiff, TIFFTAG_IMAGEWIDTH, header->width);
    library.SetField(tiff, TIFFTAG_IMAGELENGTH, header->height);
    library.SetField(tiff, TIFFTAG_BITSPERSAMPLE, bits);
    library.SetField(tiff, TIFFTAG_SAMPLESPERPIXEL, header->channels);
    library.SetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    library.SetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
    library.SetField(tiff, TIFFTAG_PHOTOMETRIC, bits == 1 ? PHOTOMETRIC_MINISWHITE : header->channels < 3 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB);
    if (header->channels % 2 == 0) {
      const uint16_t kind = EXTRASAMPLE_UNASSALPHA;
      library.SetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &kind);
    }
    library.SetField(tiff, TIFFTAG_COMPRESSION, bits == 1 ? COMPRESSION_CCITTFAX4 : COMPRESSION_ADOBE_DEFLATE);
    if (bits > 1) {
      library.SetField(tiff, TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL);
      library.SetField(tiff, TIFFTAG_ZIPQUALITY, 4);
    }
    if (header->x_per_meter > 0 && header->y_per_meter > 0) {
      library.SetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
      library.SetField(tiff, TIFFTAG_XRESOLUTION, ctiff_per_inch(header->x_per_meter));
      library.SetField(tiff, TIFFTAG_YRESOLUTION, ctiff_per_inch(header->y_per_meter));
    }
    for (size_t n = 0; n < tag_count; n++) {
      if (tags[n].tag == CTIFF_PROFILE || tags[n].tag == CTIFF_XMP)
        library.SetField(tiff, (uint32_t)tags[n].tag, (uint32_t)tags[n].size, tags[n].data);
      else
        library.SetField(tiff, (uint32_t)tags[n].tag, tags[n].data);
    }
    library.SetField(tiff, TIFFTAG_ROWSPERSTRIP, library.DefaultStripSize(tiff, bits == 1 ? header->height : 0));
    for (uint32_t y = 0; y < header->height && !failed; y++) {
      ctiff_pack(samples + y * count, count, bits, row);
      failed = library.WriteScanline(tiff, row, y, 0) < 0;
    }
    failed |= !library.Flush(tiff);
  }
  if (tiff) library.Close(tiff);
  free(row);
  // What closing could not write is in the errors alone.
  failed |= errors.text[0] != 0;
  if (failed) snprintf(message, CTIFF_MESSAGE, "%s", errors.text[0] ? errors.text : "it could not be written");
  return failed;
}

/// Copies the tags that `ctiff_write` sets.
static void ctiff_copy_tags(TIFF *from, TIFF *to) {
  static const uint32_t numbers[] = {TIFFTAG_IMAGEWIDTH, TIFFTAG_IMAGELENGTH, TIFFTAG_ROWSPERSTRIP};
  static const uint32_t words[] = {TIFFTAG_COMPRESSION, TIFFTAG_BITSPERSAMPLE, TIFFTAG_SAMPLESPERPIXEL, TIFFTAG_PLANARCONFIG, TIFFTAG_ORIENTATION,
                                   TIFFTAG_PHOTOMETRIC, TIFFTAG_PREDICTOR,     TIFFTAG_RESOLUTIONUNIT};
  static const uint32_t lengths[] = {TIFFTAG_XRESOLUTION, TIFFTAG_YRESOLUTION};
  static const uint32_t texts[] = {CTIFF_TITLE, CTIFF_DESCRIPTION, CTIFF_MAKE, CTIFF_MODEL, CTIFF_SOFTWARE, CTIFF_TIME, CTIFF_AUTHOR, CTIFF_COPYRIGHT};
  static const uint32_t bytes[] = {CTIFF_PROFILE, CTIFF_XMP};
#define CTIFF_COPY(list, type)                                      \
  for (size_t n = 0; n < sizeof list / sizeof *list; n++) {         \
    type value;                                                     \
    if (library.GetField(from, list[n], &value)) library.SetField(to, list[n], value); \
  }
  CTIFF_COPY(numbers, uint32_t)
  CTIFF_COPY(words, uint16_t)
  CTIFF_COPY(lengths, float)
  CTIFF_COPY(texts, char *)
#undef CTIFF_COPY
  uint16_t extra = 0, *kinds = NULL;
  if (library.GetField(from, TIFFTAG_EXTRASAMPLES, &extra, &kinds)) library.SetField(to, TIFFTAG_EXTRASAMPLES, extra, kinds);
  for (size_t n = 0; n < sizeof bytes / sizeof *bytes; n++) {
    uint32_t size = 0;
    void *data = NULL;
    if (library.GetField(from, bytes[n], &size, &data)) library.SetField(to, bytes[n], size, data);
  }
}

static int ctiff_append(TIFF *from, TIFF *to, size_t page, size_t count) {
  ctiff_copy_tags(from, to);
  library.SetField(to, TIFFTAG_SUBFILETYPE, FILETYPE_PAGE);
  library.SetField(to, TIFFTAG_PAGENUMBER, (unsigned)(page < 65535 ? page : 65535), (unsigned)(count < 65535 ? count : 65535));
  const uint32_t strips = library.NumberOfStrips(from);
  for (uint32_t strip = 0; strip < strips; strip++) {
    const tmsize_t size = (tmsize_t)library.RawStripSize64(from, strip);
    uint8_t *const data = size > 0 ? malloc((size_t)size) : NULL;
    const int failed = !data || library.ReadRawStrip(from, strip, data, size) != size || library.WriteRawStrip(to, strip, data, size) != size;
    free(data);
    if (failed) return 1;
  }
  return !library.WriteDirectory(to);
}

int ctiff_join(const char *const *pages, size_t count, const char *path, char *message) {
  ctiff_errors errors = {{0}};
  // Offsets of 64 bits where 32 might not be enough: by the files' sizes, which is an upper bound.
  uint64_t total = 0;
  for (size_t n = 0; n < count; n++) {
    struct stat status;
    if (stat(pages[n], &status) == 0) total += (uint64_t)status.st_size;
  }
  TIFF *const to = ctiff_file(path, total > 3u << 30 ? "w8" : "w", 0, &errors);
  int failed = !to;
  for (size_t n = 0; n < count && !failed; n++) {
    TIFF *const from = ctiff_file(pages[n], "r", 0, &errors);
    failed = !from || ctiff_append(from, to, n, count);
    if (from) library.Close(from);
  }
  if (to) library.Close(to);
  failed |= errors.text[0] != 0;
  if (failed) snprintf(message, CTIFF_MESSAGE, "%s", errors.text[0] ? errors.text : "it could not be written");
  return failed;
}
