// Pages of text by Pango (shaping, bidirectional text, line breaks) and Cairo, in gray.
#ifndef CDRAWING_H
#define CDRAWING_H

#include <stddef.h>
#include <stdint.h>

typedef struct cdrawing_page cdrawing_page;

/// A white page. NULL where memory is not enough.
cdrawing_page *cdrawing_new(int width, int height);
void cdrawing_free(cdrawing_page *page);

/// The gray, 0 black to 1 white, of what is drawn from now on.
void cdrawing_gray(cdrawing_page *page, double gray);
void cdrawing_rectangle(cdrawing_page *page, double x, double y, double width, double height);
void cdrawing_frame(cdrawing_page *page, double x, double y, double width, double height, double line);
void cdrawing_ellipse(cdrawing_page *page, double x, double y, double width, double height);
void cdrawing_line(cdrawing_page *page, double x0, double y0, double x1, double y1, double line);

typedef struct {
  const char *family;
  double size;         // of the font, in pixels
  int weight;          // 400 regular, 700 bold
  int is_italic;
  int alignment;       // 0 start, 1 center, 2 end
  int is_justified;
  double line_spacing; // a factor
  double indent;       // of the first line, in pixels
} cdrawing_style;

/// Draws text, wrapped to a width, as many lines of it as fit a height. Returns the height that they take.
double cdrawing_text(cdrawing_page *page, const char *text, const cdrawing_style *style, double x, double y,
                     double width, double height);

/// Copies the page's pixels, row by row.
void cdrawing_pixels(const cdrawing_page *page, uint8_t *pixels);

/// Whether there is a font family of exactly this name.
int cdrawing_has_family(const char *family);

/// What JPEG at a quality leaves of an image, in place. Returns 0 on success.
int cdrawing_jpeg(uint8_t *pixels, int width, int height, int quality);

#endif
