/* Subscribers: each a thread that hears of events and notes when in the log. They run until they are killed.
 *
 * What they listen to is one of `ways`, a line of the table for each. `--spin` asks the socket again and again instead of
 * sleeping in recv(2); at the ring they always spin. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "frames.h"
#include "log.h"
#include "ring.h"

enum { MESSAGE = 65536, STACK = 128 << 10, SUBSCRIBERS = 1024 };

struct subscriber {
  int socket;
  struct ring ring;
  uint32_t row;
};

struct way {
  const char *name;
  /* Sends what subscribes; nothing where the connection itself does. */
  void (*subscribe)(struct subscriber *subscriber);
  /* The next message: its length, -1 with EAGAIN where there is none yet, 0 at the end. */
  ssize_t (*next)(struct subscriber *subscriber, uint8_t *message);
  /* The number of the event that a message tells, -1 if it tells none. */
  int64_t (*event)(int socket, const uint8_t *message, size_t length);
};

static struct log *shared;
static const struct way *way;
static const char *path;
static int receive_flags;
static uint32_t watched;

enum { REGISTER = 4, NOTIFY = 5, CAUSE = 1, ORIGIN = 4, RING = 8, ADD = 1, ADDRESS = 1 };
enum { ANNOUNCE_INTERFACES = 1, INTERFACE = 3, ANNOUNCE_PVDS = 5, PVD = 7, ANNOUNCE_ELEMENTS = 9, ELEMENT = 10, SNAPSHOT = 1 };

/* The event sent last: where one at a time is sent and what is told has no number in it. */
static int64_t latest(void) { return (int64_t)atomic_load(&shared->next) - 1; }

static void register_trigger(struct subscriber *subscriber) { client_request(subscriber->socket, REGISTER, CAUSE | ORIGIN, "", 0); }

static void register_ring(struct subscriber *subscriber) {
  client_request(subscriber->socket, REGISTER, CAUSE | ORIGIN | RING, "", 0);
  ring_open(&subscriber->ring, subscriber->socket);
}

/* A DEST_UNREACHABLE that was added: the number is the end of the second address. */
static int64_t trigger_event(int socket, const uint8_t *message, size_t length) {
  (void)socket;
  const struct header *header = (const struct header *)message;
  if (length < sizeof *header || header->type != NOTIFY || header->flags != ADD) return -1;
  int addresses = 0;
  for (size_t at = sizeof *header; at + sizeof(struct payload) <= length;) {
    const struct payload *payload = (const struct payload *)(message + at);
    size_t size = (size_t)payload->len8 * 8;
    if (size < sizeof *payload || size > length - at) return -1;
    if (payload->type == ADDRESS && ++addresses == 2) {
      uint32_t number;
      // At the end of sin6_addr, or sin_addr.
      memcpy(&number, message + at + 8 + (payload->len8 == 5 ? 20 : 4), 4);
      return payload->len8 == 5 ? ntohl(number) : ntohl(number) & 0xffffff;
    }
    at += size;
  }
  return -1;
}

static void announce_interfaces(struct subscriber *subscriber) { client_request(subscriber->socket, ANNOUNCE_INTERFACES, 0, "", 0); }

/* Asks its way down to the elements of the interface's PvDs; an element that is told again is news. */
static int64_t mif_event(int socket, const uint8_t *message, size_t length) {
  const struct header *header = (const struct header *)message;
  if (length < sizeof *header + sizeof(struct payload) || header->error) return -1;
  const struct payload *payload = (const struct payload *)(header + 1);
  switch (header->type) {
    case INTERFACE:
      if (payload->first == watched) client_request(socket, ANNOUNCE_PVDS, 0, payload, (size_t)payload->len8 * 8);
      return -1;
    case PVD: {
      // PVD_ANNOUNCEMENT is INTERFACE, PVD. In a request the name is left out.
      const struct payload *told = payload + payload->len8;
      const struct payload asked[2] = {{.len8 = 2, .type = told->type, .first = told->first}};
      client_request(socket, ANNOUNCE_ELEMENTS, 0, asked, sizeof asked);
      return -1;
    }
    case ELEMENT: return header->flags & SNAPSHOT ? -1 : latest();
    default: return -1;
  }
}

static void nothing(struct subscriber *subscriber) { (void)subscriber; }

static int64_t frame_event(int socket, const uint8_t *message, size_t length) {
  (void)socket;
  return frame_number(message, length);
}

static int64_t any_event(int socket, const uint8_t *message, size_t length) {
  (void)socket, (void)message, (void)length;
  return latest();
}

static ssize_t from_socket(struct subscriber *subscriber, uint8_t *message) {
  return recv(subscriber->socket, message, MESSAGE, receive_flags);
}

static ssize_t from_ring(struct subscriber *subscriber, uint8_t *message) {
  size_t length = ring_next(&subscriber->ring, message);
  if (length) return (ssize_t)length;
  errno = EAGAIN;
  return -1;
}

static ssize_t from_input(struct subscriber *subscriber, uint8_t *message) {
  (void)subscriber;
  return read(STDIN_FILENO, message, MESSAGE);
}

static const struct way ways[] = {
  {"trigger", register_trigger, from_socket, trigger_event},
  {"ring", register_ring, from_ring, trigger_event},
  {"mif", announce_interfaces, from_socket, mif_event},
  /* The floor's socket. */
  {"frames", nothing, from_socket, frame_event},
  /* What another program prints, on standard input. */
  {"pipe", nothing, from_input, any_event},
};

static int open_socket(void) { return strcmp(way->name, "pipe") ? client_open(path) : STDIN_FILENO; }

static void *hear(void *argument) {
  struct subscriber *subscriber = argument;
  uint8_t *message = aligned_alloc(8, MESSAGE);
  if (!message) fail("memory");
  way->subscribe(subscriber);
  atomic_fetch_add(&shared->ready, 1);
  for (;;) {
    ssize_t length = way->next(subscriber, message);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    uint64_t time = now();
    if (length <= 0) exit(0);
    int64_t event = way->event(subscriber->socket, message, (size_t)length);
    if (event >= 0) log_received(shared, subscriber->row, (uint32_t)event, time);
  }
}

int main(int count, char **arguments) {
  uint32_t first = 0, subscribers = 1;
  const char *log = NULL;
  static const struct option options[] = {{"log", 1, 0, 'l'},   {"row", 1, 0, 'r'},  {"count", 1, 0, 'n'},    {"to", 1, 0, 't'},
                                          {"socket", 1, 0, 's'}, {"spin", 0, 0, 'p'}, {"interface", 1, 0, 'i'}, {0, 0, 0, 0}};
  for (int option; (option = getopt_long(count, arguments, "l:r:n:t:s:pi:", options, NULL)) != -1;) switch (option) {
      case 'l': log = optarg; break;
      case 'r': first = (uint32_t)number(optarg); break;
      case 'n': subscribers = (uint32_t)number(optarg); break;
      case 't':
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
          if (!strcmp(optarg, ways[i].name)) way = &ways[i];
        break;
      case 's': path = optarg; break;
      case 'p': receive_flags = MSG_DONTWAIT; break;
      case 'i': watched = (uint32_t)number(optarg); break;
      default: return 2;
    }
  if (!log || !way || subscribers > SUBSCRIBERS || (!path && strcmp(way->name, "pipe"))) {
    fprintf(stderr, "subscriber: --log, --to trigger, ring, mif, frames or pipe, and --socket are needed; at most %d of them\n", SUBSCRIBERS);
    return 2;
  }
  shared = log_open(log);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK);
  static struct subscriber all[SUBSCRIBERS];
  for (uint32_t i = 0; i < subscribers; i++) {
    pthread_t thread;
    all[i] = (struct subscriber){.socket = open_socket(), .row = first + i};
    if ((errno = pthread_create(&thread, &attributes, hear, &all[i]))) fail("a thread");
  }
  pause();
  return 0;
}
