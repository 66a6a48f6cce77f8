// Numbers as text: Swift cannot call functions of variable arguments, and what stands in for them looks up conformances first.
#include <ckernels.h>
#include <stdio.h>

void ck_decimals(double value, int decimals, char *text, size_t size) { snprintf(text, size, "%.*f", decimals, value); }
