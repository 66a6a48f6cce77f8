// The Debian package puts the headers in a folder of its own; pkg-config names it.
#include <cblas.h>
