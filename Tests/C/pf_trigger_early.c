/* A library whose constructor uses sockets, of either kind, perhaps before that of libpftrigger.so has run. */
#include "pf_trigger.h"

__attribute__((constructor)) static void early(void) {
  int fd = open_trigger_socket();
  struct sockaddr_in address = {.sin_family = AF_INET};
  REFUSED(bind(fd, (struct sockaddr *)&address, sizeof address), EOPNOTSUPP);
  check_works(fd);
  CHECK(close(fd) == 0);
  fd = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && close(fd) == 0);
}
