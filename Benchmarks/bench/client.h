/* A client of the agent's sockets (docs/protocol.md). */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stddef.h>
#include <stdint.h>

/* Header and payloads, in the host's byte order. */
struct header {
  uint8_t version, type, error, flags;
  uint16_t len8, reserved;
  uint32_t sequence, pid;
};

struct payload {
  uint16_t len8, type;
  uint32_t first;
};

/* Both end the process with one line if they can't. */
int client_open(const char *path);
void client_request(int socket, uint8_t type, uint8_t flags, const void *payload, size_t size);

#endif
