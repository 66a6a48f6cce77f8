#include "cwebp.h"

#include <clibrary.h>
#include <stddef.h>

static struct {
#define CWEBP(result, name, parameters, symbol, arguments) __typeof__(&symbol) name;
#include "cwebp.def"
#undef CWEBP
} library;
static const char *const names[] = {
#define CWEBP(result, name, parameters, symbol, arguments) #symbol,
#include "cwebp.def"
#undef CWEBP
};
// It brings libwebp along, whose functions are found by it too.
static clibrary source = CLIBRARY("libwebpmux.so.3", names, library);

const char *cwebp_missing(void) { return clibrary_missing(&source); }

#define CWEBP(result, name, parameters, symbol, arguments) \
  result cwebp_##name parameters { return library.name arguments; }
#include "cwebp.def"
#undef CWEBP
