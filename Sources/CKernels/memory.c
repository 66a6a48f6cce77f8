// Which bytes of a block may be touched, for the address sanitizer: memory that is recycled here is none that it knows.
#include <ckernels.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define CK_SANITIZED
#endif
#endif

void ck_mark_block(const void *block, size_t usable, size_t capacity) {
#ifdef CK_SANITIZED
  __asan_poison_memory_region(block, capacity);
  __asan_unpoison_memory_region(block, usable);
#else
  (void)block, (void)usable, (void)capacity;
#endif
}
