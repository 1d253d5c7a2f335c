/* One TCP connection through somebody else: what it carries in a second.
 *
 *   stream --listen PORT         takes connections, one after the other, and reads each to its end
 *   stream --to ADDRESS PORT BYTES   sends so much, waits until the other end has read it, prints nanoseconds */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 17 };
static char chunk[CHUNK];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static unsigned long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (unsigned long long)time.tv_sec * 1000000000u + (unsigned long long)time.tv_nsec;
}

static struct sockaddr_in at(const char *address, const char *port) {
  struct sockaddr_in found = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  if (inet_pton(AF_INET, address, &found.sin_addr) != 1) {
    fprintf(stderr, "stream: '%s' is no IPv4 address\n", address);
    exit(2);
  }
  return found;
}

static void take(const char *port) {
  struct sockaddr_in here = at("0.0.0.0", port);
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (listener < 0 || bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, 1) < 0) fail("listen");
  puts("listens");
  fflush(stdout);
  for (;;) {
    int one = accept(listener, NULL, NULL);
    if (one < 0) fail("accept");
    while (read(one, chunk, CHUNK) > 0) {}
    close(one);
  }
}

static void give(const char *address, const char *port, unsigned long long bytes) {
  struct sockaddr_in there = at(address, port);
  int one = socket(AF_INET, SOCK_STREAM, 0);
  if (one < 0 || connect(one, (struct sockaddr *)&there, sizeof there) < 0) fail("connect");
  const unsigned long long start = now();
  while (bytes > 0) {
    ssize_t sent = write(one, chunk, bytes < CHUNK ? (size_t)bytes : CHUNK);
    if (sent < 0) fail("write");
    bytes -= (unsigned long long)sent;
  }
  // The other end closes when it has everything.
  if (shutdown(one, SHUT_WR) < 0 || read(one, chunk, 1) != 0) fail("end");
  printf("%llu\n", now() - start);
}

int main(int count, char **arguments) {
  if (count == 3 && !strcmp(arguments[1], "--listen")) {
    take(arguments[2]);
  } else if (count == 5 && !strcmp(arguments[1], "--to")) {
    give(arguments[2], arguments[3], strtoull(arguments[4], NULL, 10));
  } else {
    fprintf(stderr, "usage: stream --listen PORT | --to ADDRESS PORT BYTES\n");
    return 2;
  }
  return 0;
}
