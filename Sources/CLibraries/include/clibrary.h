/// A library that is loaded where it is used: with what it brings along it would take its time at every start, and be needed by
/// those who never use it.
#ifndef CLIBRARY_H
#define CLIBRARY_H

typedef struct {
  const char *file;          // as "libtiff.so.6"
  const char *const *names;  // of its functions
  void **functions;          // their places, in this order
  int count;
  int is_done;
  char missing[200];
} clibrary;

/// One of a name, of the functions' names, and of a structure of pointers to them.
#define CLIBRARY(file, names, functions) {file, names, (void **)&(functions), sizeof names / sizeof *names, 0, ""}

/// Loads it, the first time.
///
/// Returns why it, or one of its functions, is missing: NULL where all are there.
const char *clibrary_missing(clibrary *library);

#endif
