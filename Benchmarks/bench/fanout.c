/* How many deliveries a second: one writer changes a trigger, subscribers hear of each change. Each subscriber is a thread
 * that sleeps in recv(2), or with `--ring` one that spins at the ring. The writer keeps 32 requests under way, so that the
 * agent never waits for it, and stays at most 128 changes ahead of the slowest subscriber. With `--bare N` there is no agent:
 * a thread on another processor sends 160 bytes to each subscriber in turn, N messages by each system call, which is the
 * least that telling costs. Prints one JSON object. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "log.h"
#include "ring.h"

enum { BARE_LENGTH = 160, BARE_MOST = 16 };
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

static void start(uint32_t subscribers) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK);
  for (uint32_t i = 0; i < subscribers; i++) {
    pthread_t thread;
    if ((errno = pthread_create(&thread, &attributes, hear, &all[i]))) fail("a thread");
  }
}

static int report(uint32_t subscribers, uint64_t changes, uint64_t nanoseconds) {
  uint64_t heard = 0;
  for (uint32_t i = 0; i < subscribers; i++) heard += all[i].heard - 1;
  printf("{\"subscribers\": %u, \"changes\": %llu, \"delivered\": %llu, \"nanoseconds\": %llu}\n", subscribers,
         (unsigned long long)changes, (unsigned long long)heard, (unsigned long long)nanoseconds);
  return 0;
}

static void tell_bare(int ends[], uint32_t subscribers, unsigned together) {
  static uint8_t message[BARE_LENGTH] = {1, NOTIFY};
  struct iovec part = {message, sizeof message};
  struct mmsghdr messages[BARE_MOST] = {0};
  for (unsigned i = 0; i < together; i++) messages[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
  for (uint32_t i = 0; i < subscribers; i++) {
    if (together == 1) {
      if (send(ends[i], message, sizeof message, 0) < 0) fail("send");
    } else {
      for (unsigned sent = 0; sent < together;) {
        int more = sendmmsg(ends[i], messages + sent, together - sent, 0);
        if (more < 0) fail("sendmmsg");
        sent += (unsigned)more;
      }
    }
  }
}

/* The readers stay where this process was put, and the writer goes to `processor`. */
static int bare(uint32_t subscribers, uint64_t changes, unsigned together, int processor) {
  static int ends[SUBSCRIBERS];
  for (uint32_t i = 0; i < subscribers; i++) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) fail("a pair of sockets");
    ends[i] = pair[0], all[i].socket = pair[1];
  }
  start(subscribers);
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  if (sched_setaffinity(0, sizeof set, &set)) fail("the writer's processor");
  tell_bare(ends, subscribers, 1);
  while (slowest(subscribers) < 1) usleep(1000);
  uint64_t began = now(), told = 0;
  for (; told < changes; told += together) tell_bare(ends, subscribers, together);
  while (slowest(subscribers) < told + 1) sched_yield();
  return report(subscribers, told, now() - began);
}

int main(int count, char **arguments) {
  uint32_t subscribers = 1;
  uint64_t changes = 10000;
  unsigned together = 0;
  int processor = 0;
  static const struct option options[] = {{"socket", 1, 0, 's'}, {"count", 1, 0, 'n'}, {"changes", 1, 0, 'c'}, {"ring", 0, 0, 'r'}, {"bare", 1, 0, 'b'}, {"processor", 1, 0, 'p'}, {0, 0, 0, 0}};
  for (int option; (option = getopt_long(count, arguments, "s:n:c:rb:p:", options, NULL)) != -1;) switch (option) {
      case 's': path = optarg; break;
      case 'n': subscribers = (uint32_t)number(optarg); break;
      case 'c': changes = number(optarg); break;
      case 'r': on_ring = true; break;
      case 'b': together = (unsigned)number(optarg); break;
      case 'p': processor = (int)number(optarg); break;
      default: return 2;
    }
  if ((!path && !together) || together > BARE_MOST || !subscribers || subscribers > SUBSCRIBERS) {
    fprintf(stderr, "fanout: --socket is needed or --bare of 1 to %d, and --count of 1 to %d\n", BARE_MOST, SUBSCRIBERS);
    return 2;
  }
  if (together) return bare(subscribers, changes, together, processor);
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
  start(subscribers);
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
  return report(subscribers, changes, now() - began);
}
