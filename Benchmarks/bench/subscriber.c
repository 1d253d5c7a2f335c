/* Subscribers: each a thread that hears of events and notes when in the log. They run until they are killed. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "ways.h"

enum { STACK = 128 << 10, SUBSCRIBERS = 1024 };

static const char *path;

_Noreturn static void *run(void *argument) {
  struct subscriber *subscriber = argument;
  subscribe(subscriber, path);
  for (;;) hear(subscriber);
}

int main(int count, char **arguments) {
  uint32_t subscribers = 1;
  const char *log = NULL;
  struct subscriber each = {0};
  static const struct option options[] = {{"log", 1, 0, 'l'},    {"count", 1, 0, 'n'},     {"to", 1, 0, 't'},
                                          {"socket", 1, 0, 's'}, {"interface", 1, 0, 'i'}, {0, 0, 0, 0}};
  for (int option; (option = getopt_long(count, arguments, "l:n:t:s:i:", options, NULL)) != -1;) switch (option) {
      case 'l': log = optarg; break;
      case 'n': subscribers = (uint32_t)number(optarg); break;
      case 't': each.way = way_named(optarg); break;
      case 's': path = optarg; break;
      case 'i': each.watched = (uint32_t)number(optarg); break;
      default: return 2;
    }
  if (!log || !each.way || subscribers > SUBSCRIBERS || (!path && strcmp(each.way->name, "pipe"))) {
    fprintf(stderr, "subscriber: --log, --to trigger, ring, mif, frames or pipe, and --socket are needed; at most %d of them\n", SUBSCRIBERS);
    return 2;
  }
  each.log = log_open(log);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK);
  static struct subscriber all[SUBSCRIBERS];
  for (uint32_t i = 0; i < subscribers; i++, each.row++) {
    pthread_t thread;
    all[i] = each;
    if ((errno = pthread_create(&thread, &attributes, run, &all[i]))) fail("a thread");
  }
  pause();
  return 0;
}
