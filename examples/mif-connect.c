/*
 * A connection to a host through whichever network gives it first, between standard input and output, like netcat. On
 * standard error it says which way was taken, or what was tried.
 *
 *   cc -o mif-connect mif-connect.c -lmif
 *   ./mif-connect HOST PORT [MILLISECONDS]
 */
#define _GNU_SOURCE
#include <mif.h>

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *text(const struct sockaddr_storage *address)
{
  static char host[NI_MAXHOST];
  const struct sockaddr *sockaddr = (const struct sockaddr *)address;
  if (address->ss_family == AF_UNSPEC) return "no address";
  int error = getnameinfo(sockaddr, sizeof *address, host, sizeof host, NULL, 0, NI_NUMERICHOST);
  return error ? gai_strerror(error) : host;
}

/* Everything that can be read now, from one to the other; 0 at the end. */
static int copy(int from, int to)
{
  char bytes[65536];
  ssize_t got = read(from, bytes, sizeof bytes);
  if (got < 0) return errno == EINTR;
  for (ssize_t sent = 0; sent < got;) {
    ssize_t now = write(to, bytes + sent, (size_t)(got - sent));
    if (now < 0 && errno != EINTR) return 0;
    if (now > 0) sent += now;
  }
  return got > 0;
}

static void explain(const struct mif_connector *connector)
{
  struct mif_attempt attempt;
  for (size_t i = 0; mif_connect_attempt(connector, i, &attempt) == 1; i++) {
    const struct mif_failure *failure = &attempt.failure;
    fprintf(stderr, "  %s: %s: %s\n", attempt.pvd.name, text(&attempt.destination),
            failure->error                               ? strerror(failure->error)
            : failure->from == MIF_FAILURE_RESOLVER      ? "no such name"
            : attempt.destination.ss_family == AF_UNSPEC ? "nothing found"
                                                         : "no answer");
  }
}

int main(int argc, char **argv)
{
  if (argc < 3) {
    fprintf(stderr, "usage: mif-connect HOST PORT [MILLISECONDS]\n");
    return 2;
  }
  struct mif_route route;
  int timeout = argc > 3 ? atoi(argv[3]) : 30000;
  struct mif_connector *connector = mif_connect_start(argv[1], (uint16_t)atoi(argv[2]), NULL, timeout);
  if (!connector) {
    fprintf(stderr, "mif-connect: cannot reach the agent: %s\n", strerror(errno));
    return 1;
  }
  /* A program with a loop of its own has this descriptor in it; mif_connect() would do all of this at once. */
  struct pollfd ready = {.fd = mif_connect_fd(connector), .events = POLLIN};
  int result;
  while ((result = mif_connect_step(connector)) == 0) poll(&ready, 1, -1);
  if (result < 0) {
    fprintf(stderr, "mif-connect: cannot connect to %s: %s\n", argv[1], strerror(errno));
    explain(connector);
    mif_connect_cancel(connector);
    return 1;
  }
  int peer = mif_connect_finish(connector, &route);
  fprintf(stderr, "connected to %s in %s\n", text(&route.destination), route.pvd.name);

  struct pollfd both[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = peer, .events = POLLIN}};
  while (poll(both, 2, -1) > 0 || errno == EINTR) {
    if (both[1].revents && !copy(peer, STDOUT_FILENO)) break;
    if (both[0].revents && !copy(STDIN_FILENO, peer)) {
      shutdown(peer, SHUT_WR);
      both[0].fd = -1;
    }
  }
  close(peer);
  return 0;
}
