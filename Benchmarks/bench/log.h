/* What sender and receivers share: one file, mapped by all of them. Times are CLOCK_MONOTONIC in nanoseconds.
 *
 * The header is one page; `sent` follows, the time right before each event was handed to the kernel, then a row for each
 * receiver with the time at which it had the event. 0 stands for never. */
#ifndef BENCH_LOG_H
#define BENCH_LOG_H

#include <stdatomic.h>
#include <stdint.h>

struct log {
  uint32_t events;
  uint32_t receivers;
  /* Events sent so far: the number of the next one. */
  _Atomic uint32_t next;
  /* Receivers that hear. */
  _Atomic uint32_t ready;
};

/* Maps the file; ends the process with one line if it can't. */
struct log *log_open(const char *path);
_Atomic uint64_t *log_sent(struct log *log);
_Atomic uint64_t *log_row(struct log *log, uint32_t receiver);
/* Notes that a receiver has an event, the first time. */
void log_received(struct log *log, uint32_t receiver, uint32_t event, uint64_t time);

uint64_t now(void);
_Noreturn void fail(const char *what);
/* The argument as a number, or the end of the process. */
uint64_t number(const char *text);

#endif
