/*
 * What the connect benchmark times: connections by name through the agent and without it, in one process that stays.
 *
 *   client direct HOST PORT       getaddrinfo and connect, one address after the other
 *   client agent HOST PORT        mif_connect
 *   client kept HOST PORT         the same with a connector that is used again
 *   client kept-new HOST PORT     that one, with another name below HOST each time
 *   client translate HOST COUNT   COUNT names below HOST, all at once on one subscriber, in the first PvD that has a
 *                                 resolver for them
 *   client serve PORT             the peer
 *
 * The first four read a number of connections from each line of standard input and answer with a line of their
 * nanoseconds, 0 for one that failed; standard error has the reason.
 */
#define _GNU_SOURCE
#include <mif.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void)
{
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int direct(const char *host, const char *port)
{
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
  int made = -1;
  int error = getaddrinfo(host, port, &hints, &found);
  if (error) {
    fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error));
    return -1;
  }
  for (struct addrinfo *each = found; each && made < 0; each = each->ai_next) {
    made = socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC, 0);
    if (made < 0 || connect(made, each->ai_addr, each->ai_addrlen) == 0) continue;
    fprintf(stderr, "connect: %s\n", strerror(errno));
    close(made);
    made = -1;
  }
  freeaddrinfo(found);
  return made;
}

static int through_agent(const char *host, const char *port)
{
  int made = mif_connect(host, (uint16_t)atoi(port), NULL, NULL, 5000);
  if (made < 0) fprintf(stderr, "mif_connect: %s\n", strerror(errno));
  return made;
}

static int through_kept_connector(const char *host, const char *port)
{
  static struct mif_connector *connector;
  struct mif_connect_options options = {.size = sizeof options, .flags = MIF_CONNECT_KEEP};
  int result = 0;
  if (!connector) connector = mif_connect_start(host, (uint16_t)atoi(port), &options, 5000);
  else result = mif_connect_next(connector, host, (uint16_t)atoi(port), &options, 5000);
  if (connector && result == 0) {
    struct pollfd ready = {.fd = mif_connect_fd(connector), .events = POLLIN};
    while ((result = mif_connect_step(connector)) == 0) poll(&ready, 1, -1);
    if (result == 1) return mif_connect_take(connector, NULL);
  }
  fprintf(stderr, "mif_connect_next: %s\n", strerror(errno));
  return -1;
}

static int to_a_new_name(const char *host, const char *port)
{
  static unsigned number;
  char name[256];
  snprintf(name, sizeof name, "n%u.%s", number++, host);
  return through_kept_connector(name, port);
}

/* Ends a connection by a reset, so that none is left in TIME_WAIT and ports never run out. */
static void drop(int socket)
{
  struct linger at_once = {.l_onoff = 1};
  setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(socket);
}

static int measure(int (*connection)(const char *, const char *), const char *host, const char *port)
{
  char line[32];
  while (fgets(line, sizeof line, stdin)) {
    for (int left = atoi(line); left > 0; left--) {
      uint64_t begun = now();
      int made = connection(host, port);
      uint64_t took = now() - begun;
      if (made >= 0) drop(made);
      printf("%llu ", made < 0 ? 0ULL : (unsigned long long)took);
    }
    putchar('\n');
    fflush(stdout);
  }
  return 0;
}

static int serve(const char *port)
{
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
  int listening = socket(AF_INET6, SOCK_STREAM, 0);
  if (listening < 0 || bind(listening, (struct sockaddr *)&any, sizeof any) != 0 || listen(listening, 4096) != 0) {
    perror("serve");
    return 1;
  }
  fprintf(stderr, "listening\n");
  for (;;) {
    char byte;
    int peer = accept(listening, NULL, NULL);
    if (peer < 0) continue;
    while (read(peer, &byte, 1) > 0) {
    }
    close(peer);
  }
}

/* The next message: NULL after five seconds without one. */
static const struct mif_message *next(struct mif_session *session)
{
  const struct mif_message *message;
  int got;
  while ((got = mif_get(session, &message)) == 0)
    if (mif_check(session, NULL, 0, 5000) == 0) return NULL;
  return got < 0 ? NULL : message;
}

/* All provisioning domains that there are. */
static size_t domains(struct mif_session *session, uint32_t *found, size_t room)
{
  uint32_t interfaces[64];
  size_t interface_count = 0, count = 0;
  const struct mif_message *message;
  mif_announce_interfaces(session, NULL);
  while ((message = next(session)) && message->msgtype != MIF_SNAPSHOT_END)
    if (message->msgtype == MIF_INTERFACE_ANNOUNCEMENT && interface_count < 64)
      interfaces[interface_count++] = message->interface.ifindex;
  for (size_t i = 0; i < interface_count; i++) {
    mif_announce_pvds(session, interfaces[i], NULL);
    while ((message = next(session)) && message->msgtype != MIF_SNAPSHOT_END)
      if (message->msgtype == MIF_PVD_ANNOUNCEMENT && count < room) found[count++] = message->pvd.id;
  }
  return count;
}

/* Translates `count` names at once. Gives how many addresses came; -1 where not all were answered. */
static long translate(struct mif_session *session, uint32_t pvd, const char *host, unsigned count, unsigned *failed)
{
  unsigned posted = 0, ended = 0;
  long addresses = 0;
  *failed = 0;
  while (ended < count) {
    const struct mif_message *message;
    while (posted < count) {
      char name[256];
      snprintf(name, sizeof name, "n%u.%s", posted, host);
      if (mif_translate_name(session, pvd, name, posted + 1, NULL) != 0) break;
      posted++;
    }
    if (!(message = next(session))) return -1;
    if (message->msgtype == MIF_NAME_TRANSLATION) addresses++;
    if (message->msgtype == MIF_NAME_TRANSLATION_ENDED || message->error) {
      ended++;
      *failed += message->error != 0 || message->failure.error != 0;
    }
  }
  return addresses;
}

static int translate_all(const char *host, unsigned count)
{
  struct mif_session *session = mif_open(NULL);
  uint32_t found[64];
  unsigned failed;
  if (!session) {
    perror("mif_open");
    return 1;
  }
  size_t known = domains(session, found, 64);
  for (size_t i = 0; i < known; i++) {
    if (translate(session, found[i], host, 1, &failed) < 1) continue;
    uint64_t begun = now();
    long addresses = translate(session, found[i], host, count, &failed);
    printf("%u %ld %u %llu\n", count, addresses, failed, (unsigned long long)(now() - begun));
    mif_close(session);
    return 0;
  }
  fprintf(stderr, "no provisioning domain knows %s\n", host);
  return 1;
}

int main(int argc, char **argv)
{
  if (argc == 3 && !strcmp(argv[1], "serve")) return serve(argv[2]);
  if (argc == 4 && !strcmp(argv[1], "direct")) return measure(direct, argv[2], argv[3]);
  if (argc == 4 && !strcmp(argv[1], "agent")) return measure(through_agent, argv[2], argv[3]);
  if (argc == 4 && !strcmp(argv[1], "kept")) return measure(through_kept_connector, argv[2], argv[3]);
  if (argc == 4 && !strcmp(argv[1], "kept-new")) return measure(to_a_new_name, argv[2], argv[3]);
  if (argc == 4 && !strcmp(argv[1], "translate")) return translate_all(argv[2], (unsigned)atoi(argv[3]));
  fprintf(stderr, "usage: client direct|agent|kept|kept-new HOST PORT | translate HOST COUNT | serve PORT\n");
  return 2;
}
