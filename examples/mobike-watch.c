/*
 * What an IKE daemon with MOBIKE (RFC 4555) keeps of its own addresses, from nothing but mifd's Trigger Database: which
 * of them it can use, which are the ones to prefer, and which paths are said not to work: one line, whenever it has
 * changed. With the peer's addresses it decides as the initiator of an IKE_SA does, and says what it would do:
 *
 *   begin on LOCAL > PEER           IKE_SA_INIT goes that way
 *   update to LOCAL > PEER: ...     UPDATE_SA_ADDRESSES, because something certain speaks against the path so far
 *   test LOCAL > PEER: ...          an empty INFORMATIONAL request, because of a hint; to move takes its failure
 *   keep LOCAL > PEER: ...          the hint was withdrawn
 *   no other path: ...              the path is broken, and there is none to go to
 *   tell the peer: ...              ADDITIONAL_IP4_ADDRESS and ADDITIONAL_IP6_ADDRESS, or NO_ADDITIONAL_ADDRESSES
 *
 *   cc -o mobike-watch mobike-watch.c -lmif
 *   ./mobike-watch [RUNTIME-DIR] [--peer ADDRESS]...     the peer's addresses, the one to prefer first
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

typedef struct sockaddr_storage address_t;

/* Everything that the database has told and not taken back, what came first first. */
static struct trigger_record *known;
static size_t count;

/* The peer's addresses. */
static address_t peers[8];
static size_t peer_count;

/* The path of the IKE_SA and its CHILD_SAs. */
static struct {
  address_t local, peer;
  int begun, broken, in_doubt; /* what has been said of it */
} path;

static void fail(const char *what)
{
  fprintf(stderr, "mobike-watch: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* ---- What is known ----------------------------------------------------------------------------------------------- */

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
  if (place) memmove(place, place + 1, (size_t)(&known[--count] - place) * sizeof *place);
}

static int same(const address_t *one, const address_t *other)
{
  if (one->ss_family != other->ss_family) return 0;
  if (one->ss_family == AF_INET)
    return ((const struct sockaddr_in *)one)->sin_addr.s_addr == ((const struct sockaddr_in *)other)->sin_addr.s_addr;
  return memcmp(&((const struct sockaddr_in6 *)one)->sin6_addr, &((const struct sockaddr_in6 *)other)->sin6_addr,
                sizeof(struct in6_addr)) == 0;
}

/* Whether a peer elsewhere could be reached from it: RFC 4555 leaves link-local addresses out. */
static int is_usable(const struct trigger_record *trigger)
{
  const address_t *address = &trigger->addresses[0].address;
  const uint32_t unfit = TDB_ADDR_TENTATIVE | TDB_ADDR_DUPLICATE | TDB_ADDR_DEPRECATED;
  if (trigger->address_count == 0 || (trigger->origin.tdb_origin_addrflags & unfit) != 0) return 0;
  if (address->ss_family == AF_INET) {
    uint32_t v4 = ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr);
    return v4 >> 24 != 127 && v4 >> 16 != 0xa9fe;
  }
  const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
  return !IN6_IS_ADDR_LOOPBACK(v6) && !IN6_IS_ADDR_LINKLOCAL(v6);
}

/*
 * Whether it matters here: any trigger where no peer is named; else those of a family that the peer has (what it can't
 * use it need not know either: RFC 4555 section 5.5), and of destinations the peer alone.
 */
static int is_ours(const struct trigger_record *trigger)
{
  for (size_t p = 0; p < peer_count; p++) {
    if (trigger->address_count > 1 && same(&trigger->addresses[1].address, &peers[p])) return 1;
    if (trigger->address_count == 1 && trigger->addresses[0].address.ss_family == peers[p].ss_family) return 1;
  }
  return peer_count == 0;
}

/* ---- What follows from it ---------------------------------------------------------------------------------------- */

/*
 * A fact about this host: the kernel's own knowledge. Everything else is a hint, which by RFC 4555 section 3.5 leads to
 * a test of the path and to nothing else (why is in its section 5.4): an ICMP error, which anybody can forge, and what
 * another program has put into the database.
 */
static int is_fact(const struct trigger_record *trigger, uint16_t type)
{
  return trigger->type == type && trigger->address_count > 0 && trigger->origin.tdb_origin_source == TDB_SOURCE_KERNEL;
}

/*
 * What is certain against an address as the source, NULL if nothing is. Its interface is connected as long as there is
 * CONN_ESTABLISHED. CONN_LOST ends that: no carrier, no default router, or one that no longer answers as a neighbour.
 * A deprecated address could still serve where there is no other (RFC 4862 section 5.5.4): left out for brevity.
 */
static const char *fault(const address_t *local)
{
  const struct trigger_record *own = NULL;
  for (size_t i = 0; i < count && !own; i++)
    if (is_fact(&known[i], TDB_TTYPE_IF_ADDRCHANGED) && same(&known[i].addresses[0].address, local)) own = &known[i];
  if (!own) return "is gone";
  if (own->origin.tdb_origin_addrflags & TDB_ADDR_DEPRECATED) return "is deprecated";
  if (!is_usable(own)) return "cannot be used";
  for (size_t i = 0; i < count; i++)
    if (is_fact(&known[i], TDB_TTYPE_CONN_ESTABLISHED) &&
        known[i].origin.tdb_origin_ifindex == own->origin.tdb_origin_ifindex &&
        known[i].addresses[0].address.ss_family == local->ss_family)
      return NULL;
  return "has lost its connection";
}

/* What is said of a path without being certain, NULL if nothing is. */
static const char *hint(const address_t *local, const address_t *peer)
{
  for (size_t i = 0; i < count; i++) {
    if (known[i].address_count == 0 || !same(&known[i].addresses[0].address, local)) continue;
    if (known[i].type == TDB_TTYPE_CONN_LOST) return "lost";
    if (known[i].type == TDB_TTYPE_DEST_UNREACHABLE && known[i].address_count > 1 &&
        same(&known[i].addresses[1].address, peer))
      return "unreachable";
  }
  return NULL;
}

/*
 * Chooses a path: from the address that the kernel prefers on a connected interface, to the first of the peer's that it
 * suits. A hint is enough to try another one first. 0 if there is none.
 */
static int choose(void)
{
  for (int doubtful = 0; doubtful < 2; doubtful++)
    for (size_t p = 0; p < peer_count; p++)
      for (size_t i = 0; i < count; i++) {
        const address_t *local = &known[i].addresses[0].address;
        if (!is_fact(&known[i], TDB_TTYPE_CONN_ESTABLISHED) || local->ss_family != peers[p].ss_family) continue;
        if (fault(local) || (hint(local, &peers[p]) && !doubtful)) continue;
        path.local = *local;
        path.peer = peers[p];
        path.begun = 1;
        path.broken = path.in_doubt = 0;
        return 1;
      }
  return 0;
}

/* ---- What a daemon does ------------------------------------------------------------------------------------------ */

static const char *text(const address_t *address)
{
  static char host[NI_MAXHOST];
  const struct sockaddr *plain = (const struct sockaddr *)address;
  int error = getnameinfo(plain, sizeof *address, host, sizeof host, NULL, 0, NI_NUMERICHOST);
  return error ? gai_strerror(error) : host;
}

static void say(const char *what, const char *why)
{
  printf("%s %s > ", what, text(&path.local));
  printf(why ? "%s: %s\n" : "%s\n", text(&path.peer), why);
}

/*
 * The initiator decides about the path (section 3.5), and leaves it for what is certain alone. What no trigger tells:
 * whether there is a NAT on the new path, for which UPDATE_SA_ADDRESSES comes with NAT_DETECTION_SOURCE_IP and
 * NAT_DETECTION_DESTINATION_IP (behind one, its mapping is to be kept alive: RFC 7296 section 2.23), and that the
 * mapping has changed, for which dead peer detection has these payloads too (section 3.8). The peer may check that this
 * host is to be reached there before it moves its own end (section 3.7): its COOKIE2 is returned.
 */
static void decide(void)
{
  char reason[NI_MAXHOST + 32];
  const char *why = path.begun ? fault(&path.local) : NULL;
  if (why) snprintf(reason, sizeof reason, "%s %s", text(&path.local), why);
  if (!path.begun) {
    if (!choose()) return;
    say("begin on", NULL);
  } else if (why && choose()) {
    say("update to", reason);
  } else if (why) {
    if (!path.broken) printf("no other path: %s\n", reason);
    path.broken = 1;
    return;
  } else if (path.broken) {
    path.broken = 0;
    say("test", "it is back");
  }

  /* Dead peer detection (section 3.5); where it fails, the other paths are tested in the same way (section 3.10). */
  const char *doubt = hint(&path.local, &path.peer);
  if (doubt && !path.in_doubt) {
    snprintf(reason, sizeof reason, "%s (only a hint)", doubt);
    say("test", reason);
  } else if (!doubt && path.in_doubt) {
    say("keep", "the hint was withdrawn");
  }
  path.in_doubt = doubt != NULL;
}

/*
 * All addresses but the one that the IKE_SA uses: in IKE_AUTH (section 3.4), and the whole list again in an
 * INFORMATIONAL request whenever it has changed (section 3.6); one of which a hint says that it doesn't work is among
 * them. A responder does this much and leaves the paths to the initiator.
 */
static void tell(void)
{
  static char *told;
  char *list = NULL;
  size_t size = 0;
  if (!path.begun || path.broken) return;
  FILE *out = open_memstream(&list, &size);
  if (!out) fail("cannot write");
  for (size_t i = 0; i < count; i++) {
    const address_t *address = &known[i].addresses[0].address;
    if (!is_fact(&known[i], TDB_TTYPE_IF_ADDRCHANGED) || !is_ours(&known[i])) continue;
    if (same(address, &path.local) || fault(address)) continue;
    fprintf(out, " ADDITIONAL_IP%c_ADDRESS %s", address->ss_family == AF_INET ? '4' : '6', text(address));
  }
  if (fclose(out) != 0) fail("cannot write");
  if (strcmp(told ? told : "", list) != 0) printf("tell the peer:%s\n", *list ? list : " NO_ADDITIONAL_ADDRESSES");
  free(told);
  told = list;
}

/* One part of the line: the triggers of a type, each as " address" or " local>destination". */
static void list(FILE *out, const char *title, uint16_t type)
{
  fprintf(out, "%s", title);
  for (size_t i = 0; i < count; i++)
    if ((type == TDB_TTYPE_DEST_UNREACHABLE ? known[i].type == type : is_fact(&known[i], type)) &&
        is_usable(&known[i]) && is_ours(&known[i]))
      for (unsigned a = 0; a < known[i].address_count; a++)
        fprintf(out, "%s%s", a == 0 ? " " : ">", text(&known[i].addresses[a].address));
}

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
  if (!shown || strcmp(shown, line) != 0) puts(line);
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

static void add_peer(const char *word)
{
  struct addrinfo *found, wanted = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM};
  if (peer_count == sizeof peers / sizeof *peers || getaddrinfo(word, NULL, &wanted, &found) != 0) {
    fprintf(stderr, "mobike-watch: --peer %s: not an address, or one too many\n", word);
    exit(2);
  }
  memcpy(&peers[peer_count++], found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
}

int main(int argc, char **argv)
{
  struct trigger_options options = {.size = sizeof options};
  struct trigger_filter filter = {.type_count = 4,
                                  .types = {TDB_TTYPE_IF_ADDRCHANGED, TDB_TTYPE_CONN_ESTABLISHED, TDB_TTYPE_CONN_LOST,
                                            TDB_TTYPE_DEST_UNREACHABLE}};
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--peer") == 0 && i + 1 < argc) add_peer(argv[++i]);
    else if (*argv[i] != '-' && !options.runtime_dir) options.runtime_dir = argv[i];
    else return fprintf(stderr, "usage: mobike-watch [RUNTIME-DIR] [--peer ADDRESS]...\n"), 2;
  }
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
  while ((poll(ready, 2, -1) > 0 || errno == EINTR) && ready[1].revents == 0) {
    if (!hear(session)) continue;
    show();
    decide();
    tell();
    fflush(stdout);
  }
  trigger_close(session);
  return 0;
}
