#include "atomics.h"

// Orders that are no constants cost speed alone.
long known_load(long *place, int order) { return __atomic_load_n(place, order); }
void known_store(long *place, long value, int order) { __atomic_store_n(place, value, order); }
long known_exchange(long *place, long value, int order) { return __atomic_exchange_n(place, value, order); }
long known_add(long *place, long value, int order) { return __atomic_fetch_add(place, value, order); }
