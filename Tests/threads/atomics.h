// Atomic numbers, compiled with the thread sanitizer, by the orders of C11 (__ATOMIC_RELAXED and others).
long known_load(long *place, int order);
void known_store(long *place, long value, int order);
long known_exchange(long *place, long value, int order);
long known_add(long *place, long value, int order);
