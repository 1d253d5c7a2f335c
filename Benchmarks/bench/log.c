#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 4096 };

struct log *log_open(const char *path) {
  int file = open(path, O_RDWR | O_CLOEXEC);
  struct stat status;
  if (file < 0 || fstat(file, &status) < 0) fail(path);
  // Populated at once: no page fault comes into a measured time.
  void *memory = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  if (memory == MAP_FAILED) fail(path);
  close(file);
  return memory;
}

_Atomic uint64_t *log_sent(struct log *log) { return (_Atomic uint64_t *)((char *)log + HEADER); }

_Atomic uint64_t *log_row(struct log *log, uint32_t receiver) {
  return log_sent(log) + (uint64_t)log->events * (receiver + 1);
}

void log_received(struct log *log, uint32_t receiver, uint32_t event, uint64_t time) {
  if (event >= log->events || receiver >= log->receivers) return;
  _Atomic uint64_t *place = log_row(log, receiver) + event;
  if (!atomic_load_explicit(place, memory_order_relaxed)) atomic_store_explicit(place, time, memory_order_relaxed);
}

uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void fail(const char *what) {
  fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
  exit(1);
}

uint64_t number(const char *text) {
  char *end;
  errno = 0;
  uint64_t value = strtoull(text, &end, 0);
  if (errno || end == text || *end) {
    fprintf(stderr, "bench: a number is needed, not '%s'\n", text);
    exit(2);
  }
  return value;
}
