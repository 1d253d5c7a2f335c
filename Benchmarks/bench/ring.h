/* A bare reader of the agent's broadcast ring (docs/protocol.md, "Ring"), which spins: its page stays "awake". */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring {
  const uint8_t *memory;
  uint64_t slots, position;
};

/* Receives the answer to a REGISTER that asked for RING, without REPLAY; ends the process if it was not granted. */
void ring_open(struct ring *ring, int socket);
/* Copies the next record, of at most 744 bytes: its length, 0 if there is none yet. Ends the process when lapped. */
size_t ring_next(struct ring *ring, uint8_t *message);

#endif
