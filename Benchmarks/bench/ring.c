#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

enum { HEADER = 256, SLOT = 256, STAMP = 8, ROOM = SLOT - STAMP, LONGEST = 3 * ROOM, DESCRIPTORS = 3 };
enum { MESSAGE_HEADER = 16, RING_PAYLOAD = 16, POSITION = 8 };

void ring_open(struct ring *ring, int socket) {
  uint8_t answer[256];
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
  struct iovec room = {answer, sizeof answer};
  struct msghdr message = {.msg_iov = &room, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  struct cmsghdr *passed = CMSG_FIRSTHDR(&message);
  errno = EPROTO;
  if (length != MESSAGE_HEADER + RING_PAYLOAD || !passed || passed->cmsg_len != CMSG_LEN(DESCRIPTORS * sizeof(int))) fail("no ring");
  int descriptors[DESCRIPTORS];
  memcpy(descriptors, CMSG_DATA(passed), sizeof descriptors);
  struct stat status;
  if (fstat(descriptors[0], &status) < 0) fail("fstat");
  const uint8_t *memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, descriptors[0], 0);
  if (memory == MAP_FAILED) fail("mmap");
  for (int i = 0; i < DESCRIPTORS; i++) close(descriptors[i]);
  uint32_t slots;
  memcpy(&slots, memory + 16, 4);
  ring->memory = memory;
  ring->slots = slots;
  memcpy(&ring->position, answer + MESSAGE_HEADER + POSITION, 8);
}

static const uint8_t *slot(const struct ring *ring, uint64_t position) {
  return ring->memory + HEADER + SLOT * (position & (ring->slots - 1));
}

static uint64_t stamp(const struct ring *ring, uint64_t position) {
  return __atomic_load_n((const uint64_t *)slot(ring, position), __ATOMIC_ACQUIRE);
}

size_t ring_next(struct ring *ring, uint8_t *message) {
  uint64_t found = stamp(ring, ring->position);
  if (found < 2 * ring->position) return 0;
  uint16_t len8;
  memcpy(&len8, slot(ring, ring->position) + STAMP + 4, sizeof len8);
  size_t length = (size_t)len8 * 8;
  errno = EOVERFLOW;
  if (found > 2 * ring->position || length < MESSAGE_HEADER || length > LONGEST) fail("lapped");
  uint64_t next = ring->position;
  for (size_t at = 0; at < length; at += ROOM, next++)
    memcpy(message + at, slot(ring, next) + STAMP, length - at < ROOM ? length - at : ROOM);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  for (uint64_t each = ring->position; each < next; each++)
    if (stamp(ring, each) != 2 * each) fail("lapped");
  ring->position = next;
  return length;
}
