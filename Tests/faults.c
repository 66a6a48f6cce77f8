// Preloaded into a program, lets one of its calls fail that concern files below a folder.
//
//   FAULT_FOLDER  the folder, absolute and without links
//   FAULT_AT      which call fails, from 1 on; 0 for none
//   FAULT_ERROR   its errno
//   FAULT_STAYS   set: all later ones that need space fail too, as on a full disk
//   FAULT_COUNT   a file, outside the folder, that gets the number of calls in the end, and which one failed
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int count;
static char failed[PATH_MAX + 64];

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_below(const char *path) {
  const char *folder = getenv("FAULT_FOLDER");
  char whole[2 * PATH_MAX];
  if (!folder || !path) return 0;
  if (path[0] != '/') {
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here)) return 0;
    snprintf(whole, sizeof whole, "%s/%s", here, path);
    path = whole;
  }
  const size_t length = strlen(folder);
  return !strncmp(path, folder, length) && path[length] == '/';
}

static const char *name_of(int file, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length < 0 ? 0 : length] = 0;
  return path;
}

// Whether this call fails; `errno` says why then.
static int fails(const char *call, const char *path, int needs_space) {
  if (!is_below(path)) return 0;
  const char *at = getenv("FAULT_AT"), *error = getenv("FAULT_ERROR");
  const int number = atomic_fetch_add(&count, 1) + 1, wanted = at ? atoi(at) : 0;
  if (!wanted || !error || number < wanted) return 0;
  if (number > wanted && !(getenv("FAULT_STAYS") && needs_space)) return 0;
  if (number == wanted) snprintf(failed, sizeof failed, "%s %s", call, path);
  errno = atoi(error);
  return 1;
}

static int fails_on(const char *call, int file, int needs_space) {
  char path[PATH_MAX];
  return fails(call, name_of(file, path), needs_space);
}

__attribute__((destructor)) static void tell(void) {
  const char *path = getenv("FAULT_COUNT");
  FILE *(*open)(const char *, const char *) = REAL(fopen);
  FILE *file = path ? open(path, "w") : NULL;
  if (!file) return;
  fprintf(file, "%d %s\n", atomic_load(&count), failed);
  fflush(file);
}

#define OPEN(name)                                                                         \
  int name(const char *path, int flags, ...) {                                             \
    va_list rest;                                                                          \
    va_start(rest, flags);                                                                 \
    const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;        \
    va_end(rest);                                                                          \
    return fails(#name, path, flags & (O_CREAT | __O_TMPFILE)) ? -1 : REAL(name)(path, flags, mode);       \
  }
OPEN(open)
OPEN(open64)
#define OPEN_AT(name)                                                                      \
  int name(int folder, const char *path, int flags, ...) {                                 \
    va_list rest;                                                                          \
    va_start(rest, flags);                                                                 \
    const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;        \
    va_end(rest);                                                                          \
    return fails(#name, path, flags & (O_CREAT | __O_TMPFILE)) ? -1 : REAL(name)(folder, path, flags, mode); \
  }
OPEN_AT(openat)
OPEN_AT(openat64)
#define FOPEN(name)                                                                        \
  FILE *name(const char *path, const char *mode) {                                         \
    return fails(#name, path, mode[0] == 'w') ? NULL : REAL(name)(path, mode);             \
  }
FOPEN(fopen)
FOPEN(fopen64)
#define TEMPORARY(name, parameters, ...)                                                   \
  int name parameters { return fails(#name, path, 1) ? -1 : REAL(name)(__VA_ARGS__); }
TEMPORARY(mkstemp, (char *path), path)
TEMPORARY(mkstemp64, (char *path), path)
TEMPORARY(mkostemp, (char *path, int flags), path, flags)
TEMPORARY(mkostemp64, (char *path, int flags), path, flags)
#define ON_FILE(type, name, space, parameters, ...)                                        \
  type name parameters { return fails_on(#name, file, space) ? -1 : REAL(name)(__VA_ARGS__); }
ON_FILE(ssize_t, read, 0, (int file, void *bytes, size_t size), file, bytes, size)
ON_FILE(ssize_t, write, 1, (int file, const void *bytes, size_t size), file, bytes, size)
ON_FILE(ssize_t, pwrite, 1, (int file, const void *bytes, size_t size, off_t at), file, bytes, size, at)
ON_FILE(ssize_t, pwrite64, 1, (int file, const void *bytes, size_t size, off64_t at), file, bytes, size, at)
ON_FILE(ssize_t, writev, 1, (int file, const struct iovec *parts, int number), file, parts, number)
ON_FILE(int, fsync, 1, (int file), file)
ON_FILE(int, fdatasync, 1, (int file), file)
ON_FILE(int, ftruncate, 1, (int file, off_t size), file, size)
ON_FILE(int, ftruncate64, 1, (int file, off64_t size), file, size)
#define ON_PATH(name, space, parameters, ...)                                              \
  int name parameters { return fails(#name, path, space) ? -1 : REAL(name)(__VA_ARGS__); }
ON_PATH(rename, 0, (const char *path, const char *to), path, to)
ON_PATH(mkdir, 1, (const char *path, mode_t mode), path, mode)
ON_PATH(link, 1, (const char *path, const char *to), path, to)
int linkat(int a, const char *path, int b, const char *to, int flags) {
  return fails("linkat", to, 1) ? -1 : REAL(linkat)(a, path, b, to, flags);
}
int renameat(int a, const char *path, int b, const char *to) {
  return fails("renameat", path, 0) ? -1 : REAL(renameat)(a, path, b, to);
}
int renameat2(int a, const char *path, int b, const char *to, unsigned flags) {
  return fails("renameat2", path, 0) ? -1 : REAL(renameat2)(a, path, b, to, flags);
}
#define LIST(type, name)                                                                  \
  struct type *name(DIR *folder) {                                                         \
    return fails_on(#name, dirfd(folder), 0) ? NULL : REAL(name)(folder);                  \
  }
LIST(dirent, readdir)
LIST(dirent64, readdir64)
// A stream reads by itself: from here on from what cannot be read, so that it knows of its error.
ssize_t getline(char **line, size_t *size, FILE *file) {
  if (fails_on("getline", fileno(file), 0)) {
    const int nothing = REAL(open)("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nothing, fileno(file));
    close(nothing);
  }
  return REAL(getline)(line, size, file);
}
// What a stream writes is written at the latest when it is closed.
size_t fwrite(const void *bytes, size_t size, size_t number, FILE *file) {
  return fails_on("fwrite", fileno(file), 1) ? 0 : REAL(fwrite)(bytes, size, number, file);
}
int fflush(FILE *file) {
  return file && fails_on("fflush", fileno(file), 1) ? EOF : REAL(fflush)(file);
}
int fclose(FILE *file) {
  if (!fails_on("fclose", fileno(file), 0)) return REAL(fclose)(file);
  const int reason = errno;
  REAL(fclose)(file);
  errno = reason;
  return EOF;
}
