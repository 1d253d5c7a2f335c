/* The ways in which a subscriber hears of events. */
#ifndef BENCH_WAYS_H
#define BENCH_WAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "log.h"
#include "ring.h"

struct subscriber {
  const struct way *way;
  /* Where it notes when it had an event, and in which row. */
  struct log *log;
  uint32_t row;
  /* The interface whose configuration it follows, where it follows any. */
  uint32_t watched;
  /* Asks again and again instead of sleeping in recv(2); at the ring it always does. */
  bool spins;
  int socket;
  struct ring ring;
  uint8_t *message;
};

struct way {
  const char *name;
  /* Whether what it tells has the event's number in it, so that one who spins can do without anybody else. */
  bool spins;
  /* Sends what subscribes; nothing where the connection itself does. */
  void (*subscribe)(struct subscriber *subscriber);
  /* The next message: its length, -1 with EAGAIN where there is none yet, 0 at the end. */
  ssize_t (*next)(struct subscriber *subscriber, uint8_t *message);
  /* The number of the event that a message tells, -1 if it tells none. */
  int64_t (*event)(struct subscriber *subscriber, const uint8_t *message, size_t length);
};

/* NULL if there is none of that name. */
const struct way *way_named(const char *name);
/* Connects to the socket, or takes standard input where there is no path, and counts as one that hears. Ends the process with
 * one line if it can't. */
void subscribe(struct subscriber *subscriber, const char *path);
/* Takes the next message and notes when it came. The event that it told, or -1 if it told none or nothing has come. Ends the process
 * when there is nobody any more who tells. */
int64_t hear(struct subscriber *subscriber);

#endif
