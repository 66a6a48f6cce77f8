// Which bytes of a block may be touched, for the address sanitizer: memory that is recycled here is none that it knows. And files in memory.
#define _GNU_SOURCE
#include <ckernels.h>
#include <sys/mman.h>

int ck_memory_file(void) {
#if defined(MFD_CLOEXEC)
  return memfd_create("canon", MFD_CLOEXEC);
#else
  return -1;
#endif
}

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
