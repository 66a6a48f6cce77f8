#include "cdrawing.h"

#include <math.h>
#include <pango/pangocairo.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

struct cdrawing_page {
  cairo_surface_t *surface;
  cairo_t *cairo;
  int width, height;
};

cdrawing_page *cdrawing_new(int width, int height) {
  cdrawing_page *page = calloc(1, sizeof *page);
  if (!page) return NULL;
  page->width = width;
  page->height = height;
  page->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
  page->cairo = cairo_create(page->surface);
  if (cairo_status(page->cairo) != CAIRO_STATUS_SUCCESS) {
    cdrawing_free(page);
    return NULL;
  }
  cairo_set_source_rgb(page->cairo, 1, 1, 1);
  cairo_paint(page->cairo);
  // Colored subpixels are for screens.
  cairo_font_options_t *options = cairo_font_options_create();
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_set_font_options(page->cairo, options);
  cairo_font_options_destroy(options);
  cairo_set_source_rgb(page->cairo, 0, 0, 0);
  return page;
}

void cdrawing_free(cdrawing_page *page) {
  if (!page) return;
  if (page->cairo) cairo_destroy(page->cairo);
  if (page->surface) cairo_surface_destroy(page->surface);
  free(page);
}

void cdrawing_gray(cdrawing_page *page, double gray) { cairo_set_source_rgb(page->cairo, gray, gray, gray); }

void cdrawing_rectangle(cdrawing_page *page, double x, double y, double width, double height) {
  cairo_rectangle(page->cairo, x, y, width, height);
  cairo_fill(page->cairo);
}

void cdrawing_frame(cdrawing_page *page, double x, double y, double width, double height, double line) {
  cairo_set_line_width(page->cairo, line);
  cairo_rectangle(page->cairo, x, y, width, height);
  cairo_stroke(page->cairo);
}

void cdrawing_ellipse(cdrawing_page *page, double x, double y, double width, double height) {
  cairo_save(page->cairo);
  cairo_translate(page->cairo, x + width / 2, y + height / 2);
  cairo_scale(page->cairo, width / 2, height / 2);
  cairo_arc(page->cairo, 0, 0, 1, 0, 2 * G_PI);
  cairo_restore(page->cairo);
  cairo_fill(page->cairo);
}

void cdrawing_line(cdrawing_page *page, double x0, double y0, double x1, double y1, double line) {
  cairo_set_line_width(page->cairo, line);
  cairo_move_to(page->cairo, x0, y0);
  cairo_line_to(page->cairo, x1, y1);
  cairo_stroke(page->cairo);
}

double cdrawing_text(cdrawing_page *page, const char *text, const cdrawing_style *style, double x, double y,
                     double width, double height) {
  PangoLayout *layout = pango_cairo_create_layout(page->cairo);
  PangoFontDescription *font = pango_font_description_new();
  pango_font_description_set_family(font, style->family);
  pango_font_description_set_absolute_size(font, style->size * PANGO_SCALE);
  pango_font_description_set_weight(font, (PangoWeight)style->weight);
  pango_font_description_set_style(font, style->is_italic ? PANGO_STYLE_ITALIC : PANGO_STYLE_NORMAL);
  pango_layout_set_font_description(layout, font);
  pango_font_description_free(font);
  pango_layout_set_width(layout, (int)(width * PANGO_SCALE));
  pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
  pango_layout_set_justify(layout, style->is_justified);
  pango_layout_set_indent(layout, (int)(style->indent * PANGO_SCALE));
  pango_layout_set_line_spacing(layout, (float)style->line_spacing);
  pango_layout_set_alignment(layout, style->alignment == 1   ? PANGO_ALIGN_CENTER
                                     : style->alignment == 2 ? PANGO_ALIGN_RIGHT
                                                             : PANGO_ALIGN_LEFT);
  pango_layout_set_text(layout, text, -1);
  // Whole lines only.
  double bottom = 0;
  PangoLayoutIter *iter = pango_layout_get_iter(layout);
  do {
    int top, end;
    pango_layout_iter_get_line_yrange(iter, &top, &end);
    if ((double)end / PANGO_SCALE > height) break;
    bottom = (double)end / PANGO_SCALE;
  } while (pango_layout_iter_next_line(iter));
  pango_layout_iter_free(iter);
  if (bottom > 0) {
    cairo_save(page->cairo);
    cairo_rectangle(page->cairo, x - style->size, y, width + 2 * style->size, bottom);
    cairo_clip(page->cairo);
    cairo_move_to(page->cairo, x, y);
    pango_cairo_show_layout(page->cairo, layout);
    cairo_restore(page->cairo);
  }
  g_object_unref(layout);
  return bottom;
}

void cdrawing_pixels(const cdrawing_page *page, uint8_t *pixels) {
  cairo_surface_flush(page->surface);
  const uint8_t *const data = cairo_image_surface_get_data(page->surface);
  const int stride = cairo_image_surface_get_stride(page->surface);
  for (int y = 0; y < page->height; y++)
    for (int x = 0; x < page->width; x++) pixels[(size_t)y * page->width + x] = data[(size_t)y * stride + 4 * x + 1];
}

int cdrawing_has_family(const char *family) {
  PangoFontFamily **families = NULL;
  int count = 0, found = 0;
  pango_font_map_list_families(pango_cairo_font_map_get_default(), &families, &count);
  for (int n = 0; n < count && !found; n++) found = !strcmp(pango_font_family_get_name(families[n]), family);
  g_free(families);
  return found;
}

int cdrawing_jpeg(uint8_t *pixels, int width, int height, int quality) {
  tjhandle compressor = tjInitCompress(), decompressor = tjInitDecompress();
  unsigned char *file = NULL;
  unsigned long size = 0;
  int failed = !compressor || !decompressor ||
               tjCompress2(compressor, pixels, width, 0, height, TJPF_GRAY, &file, &size, TJSAMP_GRAY, quality, 0) ||
               tjDecompress2(decompressor, file, size, pixels, width, 0, height, TJPF_GRAY, 0);
  if (file) tjFree(file);
  if (compressor) tjDestroy(compressor);
  if (decompressor) tjDestroy(decompressor);
  return failed;
}
