/* How many deliveries a second: one writer changes a trigger, subscribers hear of each change. Each subscriber is a thread
 * that sleeps in recv(2), or with `--ring` one that spins at the ring. The writer keeps 32 requests under way, so that the
 * agent never waits for it, and stays at most 128 changes ahead of the slowest subscriber. Prints one JSON object. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "log.h"
#include "ring.h"

enum { SUBSCRIBERS = 1024, MESSAGE = 1024, STACK = 128 << 10, WINDOW = 32, AHEAD = 128 };
enum { ADD = 1, REGISTER = 4, NOTIFY = 5, MODIFY = 6, RING = 8, TRIGGER = 2, OWN_TYPE = 100 };

/* TRIGGER, and an answer that has one. */
struct trigger {
  uint16_t len8, type, trigger_type, reserved;
  uint32_t id, reserved2;
};

struct answer {
  struct header header;
  struct trigger trigger;
};

struct subscriber {
  int socket;
  struct ring ring;
  _Atomic uint64_t heard;
  /* Not shared with the next one's. */
  char room[64];
};

static struct subscriber all[SUBSCRIBERS];
static bool on_ring;
static const char *path;

static void ask(int socket, uint8_t type, uint32_t id) {
  struct trigger trigger = {.len8 = 2, .type = TRIGGER, .trigger_type = OWN_TYPE, .id = id};
  client_request(socket, type, 0, &trigger, sizeof trigger);
}

static uint32_t answered(int socket) {
  struct answer answer;
  if (recv(socket, &answer, sizeof answer, 0) < (ssize_t)sizeof answer || answer.header.error) fail("the agent's answer");
  return answer.trigger.id;
}

static void *hear(void *argument) {
  struct subscriber *subscriber = argument;
  uint8_t message[MESSAGE];
  for (;;) {
    if (on_ring) {
      if (ring_next(&subscriber->ring, message)) subscriber->heard++;
      else sched_yield();
    } else {
      ssize_t length = recv(subscriber->socket, message, sizeof message, 0);
      if (length <= 0) return NULL;
      if (message[1] == NOTIFY) subscriber->heard++;
    }
  }
}

static uint64_t slowest(uint32_t subscribers) {
  uint64_t least = UINT64_MAX;
  for (uint32_t i = 0; i < subscribers; i++) if (all[i].heard < least) least = all[i].heard;
  return least;
}

int main(int count, char **arguments) {
  uint32_t subscribers = 1;
  uint64_t changes = 10000;
  static const struct option options[] = {{"socket", 1, 0, 's'}, {"count", 1, 0, 'n'}, {"changes", 1, 0, 'c'}, {"ring", 0, 0, 'r'}, {0, 0, 0, 0}};
  for (int option; (option = getopt_long(count, arguments, "s:n:c:r", options, NULL)) != -1;) switch (option) {
      case 's': path = optarg; break;
      case 'n': subscribers = (uint32_t)number(optarg); break;
      case 'c': changes = number(optarg); break;
      case 'r': on_ring = true; break;
      default: return 2;
    }
  if (!path || !subscribers || subscribers > SUBSCRIBERS) {
    fprintf(stderr, "fanout: --socket is needed, and --count of 1 to %d\n", SUBSCRIBERS);
    return 2;
  }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK);
  for (uint32_t i = 0; i < subscribers; i++) {
    all[i].socket = client_open(path);
    client_request(all[i].socket, REGISTER, on_ring ? RING : 0, "", 0);
    if (on_ring) {
      ring_open(&all[i].ring, all[i].socket);
    } else {
      uint8_t answer[MESSAGE];
      if (recv(all[i].socket, answer, sizeof answer, 0) != sizeof(struct header)) fail("the agent's answer");
    }
  }
  int writer = client_open(path);
  ask(writer, ADD, 0);
  uint32_t id = answered(writer);
  for (uint32_t i = 0; i < subscribers; i++) {
    pthread_t thread;
    if ((errno = pthread_create(&thread, &attributes, hear, &all[i]))) fail("a thread");
  }
  while (slowest(subscribers) < 1) usleep(1000);
  uint64_t began = now(), done = 0, asked = 0, least = 0, limit = began + 60000000000u;
  while (done < changes) {
    // To ask a thousand counters is not free: only when the slowest may be too far behind.
    if (asked >= least + AHEAD) least = slowest(subscribers) - 1;
    while (asked < changes && asked - done < WINDOW && asked < least + AHEAD) {
      ask(writer, MODIFY, id);
      asked++;
    }
    if (done < asked) {
      answered(writer);
      done++;
    } else {
      sched_yield();
    }
    if (now() > limit) break;
  }
  while (slowest(subscribers) < changes + 1 && now() < limit) sched_yield();
  uint64_t nanoseconds = now() - began, heard = 0;
  for (uint32_t i = 0; i < subscribers; i++) heard += all[i].heard - 1;
  printf("{\"subscribers\": %u, \"ring\": %s, \"changes\": %llu, \"delivered\": %llu, \"nanoseconds\": %llu}\n", subscribers,
         on_ring ? "true" : "false", (unsigned long long)changes, (unsigned long long)heard, (unsigned long long)nanoseconds);
  return 0;
}
