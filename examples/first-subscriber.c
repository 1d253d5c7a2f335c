/*
 * Your first subscriber: which networks this host has, as draft-ietf-mif-api-extension-05 tells it, top down: the
 * interfaces, the provisioning domains of each, the addresses of each domain. Says what exists and ends; with -f it
 * goes on with the news.
 *
 *   cc -o first-subscriber first-subscriber.c -lmif
 *   ./first-subscriber [-f]
 */
#define _GNU_SOURCE
#include <mif.h>

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what, int error)
{
  fprintf(stderr, "first-subscriber: %s: %s\n", what, strerror(error));
  return 1;
}

static const char *text(const struct mif_address *address)
{
  static char host[NI_MAXHOST];
  int error = getnameinfo((const struct sockaddr *)&address->address, sizeof address->address, host, sizeof host, NULL,
                          0, NI_NUMERICHOST);
  return error ? gai_strerror(error) : host;
}

int main(int argc, char **argv)
{
  int follow = argc > 1 && strcmp(argv[1], "-f") == 0;
  struct mif_session *session = mif_open(NULL);
  if (!session) return fail("cannot reach the agent", errno);

  unsigned asked = 1; /* snapshots that have not ended */
  if (mif_announce_interfaces(session, NULL) != 0) return fail("cannot ask", errno);
  while (asked > 0 || follow) {
    const struct mif_message *m;
    int got = mif_get(session, &m);
    if (got < 0) return fail("the agent is gone", errno);
    if (got == 0) {
      if (mif_check(session, NULL, 0, -1) < 0 && errno != EINTR) return fail("cannot wait", errno);
      continue;
    }
    if (m->error != 0 && m->error != ENOENT) return fail("the agent refuses", m->error);
    if (m->error == ENOENT) asked--; /* it has gone since it was told */
    int result = 0;
    switch (m->msgtype) {
    case MIF_INTERFACE_ANNOUNCEMENT:
      printf("interface %u %s%s\n", m->interface.ifindex, m->interface.name,
             m->interface.flags & MIF_INTERFACE_CARRIER ? "" : ", no carrier");
      result = mif_announce_pvds(session, m->interface.ifindex, NULL);
      asked++;
      break;
    case MIF_PVD_ANNOUNCEMENT:
      printf("domain %u %s on %s\n", m->pvd.id, m->pvd.name, m->interface.name);
      result = mif_announce_addresses(session, m->pvd.id, NULL);
      asked++;
      break;
    case MIF_ADDRESS_ANNOUNCEMENT:
      printf("address %s/%u in domain %u\n", text(&m->address), m->address.prefix_length, m->pvd.id);
      break;
    case MIF_NO_ADDRESS_ANNOUNCEMENT: printf("no address %s in domain %u\n", text(&m->address), m->pvd.id); break;
    case MIF_NO_PVD_ANNOUNCEMENT: printf("no domain %u\n", m->pvd.id); break;
    case MIF_NO_INTERFACE_ANNOUNCEMENT: printf("no interface %u\n", m->interface.ifindex); break;
    case MIF_SNAPSHOT_END: asked--; break;
    case MIF_OVERRUN: /* news were lost: everything anew */
      printf("lost\n");
      asked = 1;
      result = mif_announce_interfaces(session, NULL);
      break;
    default: break;
    }
    if (result != 0) return fail("cannot ask", errno);
    fflush(stdout);
  }
  mif_close(session);
  return 0;
}
