// libwebp, loaded where it is used: with what it needs in turn it would take a millisecond of every start.
#ifndef CWEBP_H
#define CWEBP_H

#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/mux.h>

/// Why libwebp is not there, or NULL. Only after that the functions may be called.
const char *cwebp_missing(void);

// Each is libwebp's of the same name.
#define CWEBP(result, name, parameters, symbol, arguments) result cwebp_##name parameters;
#include "cwebp.def"
#undef CWEBP

#endif
