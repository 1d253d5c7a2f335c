/*
 * The address set that an IKE daemon with MOBIKE (RFC 4555) keeps: which local addresses it can use, which of them are
 * the ones to prefer, and which paths are known not to work. It is kept from mifd's Trigger Database and printed, one
 * line, whenever it has changed.
 *
 *   cc -o mobike-watch mobike-watch.c -lmif
 *   ./mobike-watch [RUNTIME-DIR]
 */
#define _GNU_SOURCE
#include <mif.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

/* Everything that the database has told and not taken back. */
static struct trigger_record *known;
static size_t count;

static void fail(const char *what)
{
  fprintf(stderr, "mobike-watch: %s: %s\n", what, strerror(errno));
  exit(1);
}

static struct trigger_record *find(uint32_t id)
{
  for (size_t i = 0; i < count; i++)
    if (known[i].id == id) return &known[i];
  return NULL;
}

static void put(uint32_t former, const struct trigger_record *trigger)
{
  struct trigger_record *place = find(former);
  if (!place) {
    known = realloc(known, (count + 1) * sizeof *known);
    if (!known) fail("cannot keep a trigger");
    place = &known[count++];
  }
  *place = *trigger;
}

static void take(uint32_t id)
{
  struct trigger_record *place = find(id);
  if (place) *place = known[--count];
}

/* Whether a peer elsewhere could be reached from it: RFC 4555 leaves link-local addresses out. */
static int is_usable(const struct trigger_record *trigger)
{
  const struct sockaddr_storage *address = &trigger->addresses[0].address;
  const uint32_t unfit = TDB_ADDR_TENTATIVE | TDB_ADDR_DUPLICATE | TDB_ADDR_DEPRECATED;
  if (trigger->address_count == 0 || (trigger->origin.tdb_origin_addrflags & unfit) != 0) return 0;
  if (address->ss_family == AF_INET) {
    uint32_t v4 = ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr);
    return v4 >> 24 != 127 && v4 >> 16 != 0xa9fe;
  }
  const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
  return !IN6_IS_ADDR_LOOPBACK(v6) && !IN6_IS_ADDR_LINKLOCAL(v6);
}

/* One part of the line: the triggers of a type, each as " address" or " local>destination". */
static void list(FILE *out, const char *title, uint16_t type)
{
  fprintf(out, "%s", title);
  for (size_t i = 0; i < count; i++) {
    if (known[i].type != type || !is_usable(&known[i])) continue;
    for (unsigned a = 0; a < known[i].address_count; a++) {
      char text[NI_MAXHOST];
      const struct sockaddr *address = (const struct sockaddr *)&known[i].addresses[a].address;
      if (getnameinfo(address, sizeof(struct sockaddr_storage), text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
        fprintf(out, "%s%s", a == 0 ? " " : ">", text);
    }
  }
}

/* What a daemon does here: choose a path, and tell the peer by UPDATE_SA_ADDRESSES and ADDITIONAL_IP*_ADDRESS. */
static void show(void)
{
  static char *shown;
  char *line = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&line, &size);
  if (!out) fail("cannot write");
  list(out, "addresses", TDB_TTYPE_IF_ADDRCHANGED);
  list(out, "; preferred", TDB_TTYPE_CONN_ESTABLISHED);
  list(out, "; unreachable", TDB_TTYPE_DEST_UNREACHABLE);
  if (fclose(out) != 0) fail("cannot write");
  if (!shown || strcmp(shown, line) != 0) {
    puts(line);
    fflush(stdout);
  }
  free(shown);
  shown = line;
}

/* Takes what has come; nonzero if the set is whole, so that it can be acted upon. */
static int hear(struct trigger_session *session)
{
  static int in_step;
  const struct trigger_event *event;
  while ((event = trigger_next(session, 0)) != NULL) {
    switch (event->kind) {
    case TRIGGER_ADDED: put(event->trigger->id, event->trigger); break;
    case TRIGGER_MODIFIED: put(event->former, event->trigger); break;
    case TRIGGER_DELETED: take(event->trigger->id); break;
    case TRIGGER_IN_STEP: in_step = 1; break;
    case TRIGGER_DISCONNECTED: in_step = 0; break; /* what was known stays: the session tells what changed meanwhile */
    case TRIGGER_REFUSED: errno = event->error; fail("the agent refuses");
    default: break;
    }
  }
  if (errno != EAGAIN && errno != EINTR) fail("cannot hear the agent");
  return in_step;
}

int main(int argc, char **argv)
{
  struct trigger_options options = {.size = sizeof options, .runtime_dir = argc > 1 ? argv[1] : NULL};
  struct trigger_filter filter = {
      .type_count = 3, .types = {TDB_TTYPE_IF_ADDRCHANGED, TDB_TTYPE_CONN_ESTABLISHED, TDB_TTYPE_DEST_UNREACHABLE}};
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  sigprocmask(SIG_BLOCK, &ends, NULL);

  struct trigger_session *session = trigger_open(&options);
  if (!session) fail("cannot reach the agent");
  if (trigger_register(session, &filter, 0) != 0) fail("cannot register");

  /* A daemon has its own descriptors beside the session's. */
  struct pollfd ready[] = {{.fd = trigger_fd(session), .events = POLLIN},
                           {.fd = signalfd(-1, &ends, SFD_CLOEXEC), .events = POLLIN}};
  while ((poll(ready, 2, -1) > 0 || errno == EINTR) && ready[1].revents == 0)
    if (hear(session)) show();
  trigger_close(session);
  return 0;
}
