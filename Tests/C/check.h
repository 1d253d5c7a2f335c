/* What the C tests say where something is wrong: the place and the condition, then the end. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                          \
  do {                                                                                            \
    if (!(condition)) {                                                                           \
      fprintf(stderr, "%s:%d: not so: %s (errno: %s)\n", __FILE__, __LINE__, #condition, strerror(errno)); \
      exit(1);                                                                                    \
    }                                                                                             \
  } while (0)

/* A call that fails as it is to fail. */
#define REFUSED(call, number)           \
  do {                                  \
    errno = 0;                          \
    CHECK((call) == -1 && errno == (number)); \
  } while (0)

#endif
