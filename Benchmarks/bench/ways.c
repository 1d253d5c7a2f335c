#include "ways.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "frames.h"

enum { MESSAGE = 65536 };
enum { REGISTER = 4, NOTIFY = 5, CAUSE = 1, ORIGIN = 4, RING = 8, ADD = 1, ADDRESS = 1 };
enum { ANNOUNCE_INTERFACES = 1, INTERFACE = 3, ANNOUNCE_PVDS = 5, PVD = 7, ANNOUNCE_ELEMENTS = 9, ELEMENT = 10, SNAPSHOT = 1 };

/* The event sent last: where one at a time is sent and what is told has no number in it. */
static int64_t latest(const struct subscriber *subscriber) { return (int64_t)atomic_load(&subscriber->log->next) - 1; }

static void register_trigger(struct subscriber *subscriber) { client_request(subscriber->socket, REGISTER, CAUSE | ORIGIN, "", 0); }

static void register_ring(struct subscriber *subscriber) {
  client_request(subscriber->socket, REGISTER, CAUSE | ORIGIN | RING, "", 0);
  ring_open(&subscriber->ring, subscriber->socket);
}

/* A DEST_UNREACHABLE that was added: the number is the end of the second address. */
static int64_t trigger_event(struct subscriber *subscriber, const uint8_t *message, size_t length) {
  (void)subscriber;
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
static int64_t mif_event(struct subscriber *subscriber, const uint8_t *message, size_t length) {
  const struct header *header = (const struct header *)message;
  if (length < sizeof *header + sizeof(struct payload) || header->error) return -1;
  const struct payload *payload = (const struct payload *)(header + 1);
  switch (header->type) {
    case INTERFACE:
      if (payload->first == subscriber->watched) client_request(subscriber->socket, ANNOUNCE_PVDS, 0, payload, (size_t)payload->len8 * 8);
      return -1;
    case PVD: {
      // PVD_ANNOUNCEMENT is INTERFACE, PVD. In a request the name is left out.
      const struct payload *told = payload + payload->len8;
      const struct payload asked[2] = {{.len8 = 2, .type = told->type, .first = told->first}};
      client_request(subscriber->socket, ANNOUNCE_ELEMENTS, 0, asked, sizeof asked);
      return -1;
    }
    case ELEMENT: return header->flags & SNAPSHOT ? -1 : latest(subscriber);
    default: return -1;
  }
}

static void nothing(struct subscriber *subscriber) { (void)subscriber; }

static int64_t frame_event(struct subscriber *subscriber, const uint8_t *message, size_t length) {
  (void)subscriber;
  return frame_number(message, length);
}

static int64_t any_event(struct subscriber *subscriber, const uint8_t *message, size_t length) {
  (void)message, (void)length;
  return latest(subscriber);
}

static ssize_t from_socket(struct subscriber *subscriber, uint8_t *message) {
  return recv(subscriber->socket, message, MESSAGE, subscriber->spins ? MSG_DONTWAIT : 0);
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
  {"trigger", true, register_trigger, from_socket, trigger_event},
  {"ring", true, register_ring, from_ring, trigger_event},
  {"mif", false, announce_interfaces, from_socket, mif_event},
  /* The floor's socket. */
  {"frames", true, nothing, from_socket, frame_event},
  /* What another program prints, on standard input. */
  {"pipe", false, nothing, from_input, any_event},
};

const struct way *way_named(const char *name) {
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
    if (!strcmp(name, ways[i].name)) return &ways[i];
  return NULL;
}

void subscribe(struct subscriber *subscriber, const char *path) {
  subscriber->socket = path ? client_open(path) : STDIN_FILENO;
  subscriber->message = aligned_alloc(8, MESSAGE);
  if (!subscriber->message) fail("memory");
  subscriber->way->subscribe(subscriber);
  atomic_fetch_add(&subscriber->log->ready, 1);
}

int64_t hear(struct subscriber *subscriber) {
  ssize_t length = subscriber->way->next(subscriber, subscriber->message);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return -1;
  uint64_t time = now();
  if (length <= 0) exit(0);
  int64_t event = subscriber->way->event(subscriber, subscriber->message, (size_t)length);
  if (event >= 0) log_received(subscriber->log, subscriber->row, (uint32_t)event, time);
  return event;
}
