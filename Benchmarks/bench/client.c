#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

int client_open(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail(path);
  }
  strcpy(address.sun_path, path);
  int opened = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (opened < 0 || connect(opened, (struct sockaddr *)&address, sizeof address) < 0) fail(path);
  return opened;
}

void client_request(int socket, uint8_t type, uint8_t flags, const void *payload, size_t size) {
  uint8_t message[sizeof(struct header) + 64] = {0};
  struct header header = {.version = 1, .type = type, .flags = flags, .len8 = (uint16_t)((sizeof header + size) / 8), .sequence = 1,
                          .pid = (uint32_t)getpid()};
  memcpy(message, &header, sizeof header);
  memcpy(message + sizeof header, payload, size);
  if (send(socket, message, sizeof header + size, 0) < 0) fail("send");
}
