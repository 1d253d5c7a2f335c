/*
 * libmif's MIF API against an agent that this program is itself, so that each of its words is known: requests and
 * messages are the golden vectors, byte for byte, then cut short and spoilt; then what no vector has.
 *
 *   mif VECTORS DIRECTORY      (Tests/Vectors/mif.txt; an empty directory)
 */
#define _GNU_SOURCE
#include "check.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <mif.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOON = 5000, ITEMS = 16 };

static int listener;
static const char *directory;

/* ---- The agent ---- */

static void listen_in(const char *path)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  CHECK((size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s/mif.sock", path) < sizeof address.sun_path);
  listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 4) == 0);
}

static struct mif_session *open_session(int *agent)
{
  struct mif_options options = {.size = sizeof options, .runtime_dir = directory};
  struct mif_session *session = mif_open(&options);
  CHECK(session != NULL);
  CHECK(fcntl(mif_fd(session), F_GETFD) == FD_CLOEXEC);
  *agent = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  CHECK(*agent >= 0);
  return session;
}

static void close_session(struct mif_session *session, int agent)
{
  mif_close(session);
  close(agent);
}

/* A message with so many copies of a descriptor beside it. */
static void say(int agent, const void *bytes, size_t length, int passed, unsigned copies)
{
  union {
    char bytes[CMSG_SPACE(4 * sizeof(int))];
    struct cmsghdr aligned;
  } control;
  struct iovec part = {(void *)bytes, length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  memset(&control, 0, sizeof control);
  if (copies > 0) {
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(copies * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(copies * sizeof(int));
    for (unsigned i = 0; i < copies; i++) memcpy(CMSG_DATA(header) + i * sizeof(int), &passed, sizeof(int));
  }
  CHECK(sendmsg(agent, &message, MSG_NOSIGNAL) == (ssize_t)length);
}

static int descriptors(void)
{
  int count = 0;
  for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

/* ---- The vectors' text ---- */

struct vector {
  char name[64];
  struct mif_message message;
  struct mif_request request;
  struct mif_item items[ITEMS];
  struct mif_counter counters[ITEMS];
  char text[ITEMS][256];
  char node[256];
  unsigned texts, endpoints;
  unsigned char bytes[1024];
  size_t length;
};

static unsigned requests, messages, spoilt;

/* The value behind " key=", up to the next space; empty if there is none. */
static const char *value(const char *line, const char *key)
{
  static char text[512];
  char wanted[32];
  snprintf(wanted, sizeof wanted, " %s=", key);
  const char *found = strstr(line, wanted);
  size_t length = found ? strcspn(found + strlen(wanted), " \n") : 0;
  CHECK(length < sizeof text);
  if (found) memcpy(text, found + strlen(wanted), length);
  text[length] = 0;
  return text;
}

static uint32_t number(const char *line, const char *key)
{
  return (uint32_t)strtoll(value(line, key), NULL, 10);
}

static void read_address(struct sockaddr_storage *storage, const char *line, const char *key, uint32_t scope)
{
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(line, "port"))};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = v4.sin_port, .sin6_scope_id = scope};
  const char *text = value(line, key);
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) memcpy(storage, &v4, sizeof v4);
  else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) memcpy(storage, &v6, sizeof v6);
}

static void read_message(struct vector *vector, const char *line)
{
  vector->message.msgtype = (uint8_t)number(line, "msgtype");
  vector->message.error = (uint8_t)number(line, "errno");
  vector->message.flags = (uint8_t)number(line, "flags");
  vector->message.seq = number(line, "seq");
  vector->message.pid = number(line, "pid");
  vector->request = (struct mif_request){.size = sizeof vector->request, .msgtype = vector->message.msgtype};
}

static void read_item(struct vector *vector, const char *line)
{
  CHECK(vector->message.item_count < ITEMS);
  struct mif_item *item = &vector->items[vector->message.item_count++];
  item->information = number(line, "id");
  item->kind = (uint16_t)number(line, "kind");
  item->flags = (uint16_t)number(line, "flags");
  item->preferred = number(line, "preferred");
  item->valid = number(line, "valid");
  item->number = number(line, "number") + number(line, "sequence") + number(line, "t1");
  item->number2 = number(line, "t2");
  item->prefix_length = (uint8_t)number(line, "prefixlen");
  item->preference = (int8_t)number(line, "preference");
  read_address(&item->address, line, "address", 0);
  read_address(&item->gateway, line, "gateway", 0);
  char *text = vector->text[vector->texts++];
  if (item->kind == MIF_ITEM_TEXT) {
    item->length = strlen(strcpy(text, value(line, "text")));
    item->bytes = text;
  } else if (item->kind == MIF_ITEM_BYTES) {
    const char *digits = value(line, "bytes");
    unsigned byte;
    for (; sscanf(digits + 2 * item->length, "%2x", &byte) == 1; item->length++) text[item->length] = (char)byte;
    item->bytes = text;
  }
}

static void read_payload(struct vector *vector, const char *line)
{
  struct mif_message *message = &vector->message;
  struct mif_request *request = &vector->request;
  char type[16];
  CHECK(sscanf(line, "payload %15s", type) == 1);
  if (strcmp(type, "INTERFACE") == 0) {
    message->interface.ifindex = request->ifindex = number(line, "id");
    message->interface.flags = number(line, "flags");
    CHECK(strlen(value(line, "name")) < sizeof message->interface.name);
    strcpy(message->interface.name, value(line, "name"));
  } else if (strcmp(type, "PVD") == 0) {
    message->pvd.id = request->pvd = number(line, "id");
    message->pvd.flags = number(line, "flags");
    strcpy(message->pvd.name, value(line, "name"));
  } else if (strcmp(type, "ELEMENT") == 0) {
    message->element = request->element = (uint16_t)number(line, "type");
    message->information = request->information = number(line, "id");
  } else if (strcmp(type, "ADDRESS") == 0) {
    read_address(&message->address.address, line, "address", number(line, "scope"));
    message->address.prefix_length = (uint8_t)number(line, "prefixlen");
    message->address.flags = (uint16_t)number(line, "flags");
    message->address.preferred = number(line, "preferred");
    message->address.valid = number(line, "valid");
  } else if (strcmp(type, "DATA") == 0) {
    read_item(vector, line);
  } else if (strcmp(type, "NAME") == 0) {
    request->name = strcpy(vector->node, value(line, "name"));
  } else if (strcmp(type, "TRANSACTION") == 0) {
    message->transaction = request->transaction = number(line, "id");
  } else if (strcmp(type, "ENDPOINT") == 0) {
    request->transport = (uint8_t)number(line, "transport");
    read_address(number(line, "role") == 1 ? &request->destination : &request->source, line, "address", 0);
  } else if (strcmp(type, "FAILURE") == 0) {
    message->failure.error = (int32_t)number(line, "errno");
    message->failure.from = (uint8_t)number(line, "from");
    message->failure.icmp_type = (uint8_t)number(line, "icmptype");
    message->failure.icmp_code = (uint8_t)number(line, "icmpcode");
    message->failure.resolver_status = number(line, "rcode");
  } else if (strcmp(type, "TIME") == 0) {
    request->milliseconds = number(line, "milliseconds");
  } else if (strcmp(type, "COUNTER") == 0) {
    CHECK(message->counter_count < ITEMS);
    struct mif_counter *counter = &vector->counters[message->counter_count++];
    counter->name = strcpy(vector->text[vector->texts++], value(line, "name"));
    counter->value = strtoull(value(line, "value"), NULL, 10);
  } else {
    CHECK(!"a payload that this test knows");
  }
}

static void read_bytes(struct vector *vector, const char *line)
{
  unsigned byte;
  int used;
  for (; sscanf(line, "%2x%n", &byte, &used) == 1; line += used) {
    CHECK(vector->length < sizeof vector->bytes);
    vector->bytes[vector->length++] = (unsigned char)byte;
  }
}

/* ---- Requests ---- */

static int post_by_name(struct mif_session *session, const struct mif_request *r, uint32_t *seq)
{
  const struct sockaddr *to = (const struct sockaddr *)&r->destination, *from = (const struct sockaddr *)&r->source;
  socklen_t size = r->destination.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
  switch (r->msgtype) {
  case MIF_ANNOUNCE_INTERFACES: return mif_announce_interfaces(session, seq);
  case MIF_STOP_ANNOUNCING_INTERFACES: return mif_stop_announcing_interfaces(session, seq);
  case MIF_ANNOUNCE_PVDS: return mif_announce_pvds(session, r->ifindex, seq);
  case MIF_STOP_ANNOUNCING_PVDS: return mif_stop_announcing_pvds(session, r->ifindex, seq);
  case MIF_ANNOUNCE_CONFIG_ELEMENTS: return mif_announce_config_elements(session, r->pvd, seq);
  case MIF_STOP_ANNOUNCING_CONFIG_ELEMENTS: return mif_stop_announcing_config_elements(session, r->pvd, seq);
  case MIF_ANNOUNCE_ADDRESSES: return mif_announce_addresses(session, r->pvd, seq);
  case MIF_STOP_ANNOUNCING_ADDRESSES: return mif_stop_announcing_addresses(session, r->pvd, seq);
  case MIF_GET_CONFIG_DATA: return mif_get_config_data(session, r->pvd, r->element, r->information, seq);
  case MIF_TRANSLATE_NAME: return mif_translate_name(session, r->pvd, r->name, r->transaction, seq);
  case MIF_STOP_TRANSLATING_NAME: return mif_stop_translating_name(session, r->transaction, seq);
  case MIF_CONNECT_TO_PVD: return mif_connect_to_pvd(session, r->pvd, seq);
  case MIF_CONNECT_TO_ADDRESS:
    return mif_connect_to_address(session, r->pvd, r->transaction, r->transport, to, size, seq);
  case MIF_CONNECT_TO_ADDRESS_FROM_ADDRESS:
    return mif_connect_to_address_from_address(session, r->pvd, r->transaction, r->transport, to, size, from, size,
                                               seq);
  case MIF_WANTS_TO_CONNECT: return mif_wants_to_connect(session, seq);
  case MIF_CONNECTION_IDLE: return mif_connection_idle(session, r->pvd, seq);
  case MIF_CONNECTION_CAN_BE_BROKEN: return mif_connection_can_be_broken(session, r->pvd, seq);
  case MIF_GET_STATISTICS: return mif_get_statistics(session, seq);
  case MIF_TAKE_INTERFACE_DOWN: return mif_take_interface_down(session, r->ifindex, r->milliseconds, seq);
  default: return 1;
  }
}

/* What the agent gets is the vector, but for the seq, which is the session's, and the pid, which is ours. */
static void expect_posted(const struct vector *vector, int agent, uint32_t seq)
{
  unsigned char bytes[1024];
  uint32_t pid = (uint32_t)getpid();
  ssize_t length = recv(agent, bytes, sizeof bytes, MSG_DONTWAIT);
  CHECK(length == (ssize_t)vector->length);
  CHECK(memcmp(bytes + 8, &seq, 4) == 0 && memcmp(bytes + 12, &pid, 4) == 0);
  CHECK(memcmp(bytes, vector->bytes, 8) == 0 && memcmp(bytes + 16, vector->bytes + 16, vector->length - 16) == 0);
}

static void check_request(const struct vector *vector)
{
  int agent;
  uint32_t seq = 0;
  struct mif_session *session = open_session(&agent);
  int posted = post_by_name(session, &vector->request, &seq);
  if (posted == 0) {
    CHECK(seq == 1);
    expect_posted(vector, agent, seq);
    CHECK(mif_post(session, &vector->request, &seq) == 0 && seq == 2);
    expect_posted(vector, agent, seq);
    CHECK(mif_post(session, &vector->request, NULL) == 0);
    requests++;
  } else {
    CHECK(posted == 1); /* only the agent's to send */
    REFUSED(mif_post(session, &vector->request, &seq), EOPNOTSUPP);
  }
  close_session(session, agent);
}

/* ---- Messages ---- */

static const struct mif_message *expect_message(struct mif_session *session)
{
  const struct mif_message *message = NULL;
  CHECK(mif_check(session, NULL, 0, SOON) == MIF_CHECK_MESSAGE);
  CHECK(mif_get(session, &message) == 1 && message != NULL);
  return message;
}

static int is_request(uint8_t msgtype)
{
  return msgtype == MIF_TRANSLATE_NAME || msgtype == MIF_CONNECT_TO_ADDRESS ||
         msgtype == MIF_CONNECT_TO_ADDRESS_FROM_ADDRESS;
}

static int has_payloads(const struct vector *vector)
{
  switch (vector->message.msgtype) {
  case MIF_INTERFACE_ANNOUNCEMENT: case MIF_NO_INTERFACE_ANNOUNCEMENT: case MIF_PVD_ANNOUNCEMENT:
  case MIF_NO_PVD_ANNOUNCEMENT: case MIF_CONFIG_ELEMENT_ANNOUNCEMENT: case MIF_NO_CONFIG_ELEMENT_ANNOUNCEMENT:
  case MIF_ADDRESS_ANNOUNCEMENT: case MIF_NO_ADDRESS_ANNOUNCEMENT: case MIF_CONFIG_DATA: case MIF_NO_CONFIG_DATA:
  case MIF_NAME_TRANSLATION: case MIF_CONNECTED: case MIF_NOT_CONNECTED: case MIF_INTERFACE_GOING_AWAY:
  case MIF_INTERFACE_GOING_UP: case MIF_NAME_TRANSLATION_ENDED: case MIF_STATISTICS: return 1;
  default: return 0;
  }
}

static void check_message(const struct vector *vector)
{
  int agent;
  struct mif_session *session = open_session(&agent);
  const struct mif_message *empty = NULL;
  CHECK(mif_get(session, &empty) == 0 && empty == NULL);
  say(agent, vector->bytes, vector->length, -1, 0);
  const struct mif_message *got = expect_message(session);
  const struct mif_message *wanted = &vector->message;
  CHECK(got->msgtype == wanted->msgtype && got->error == wanted->error && got->flags == wanted->flags);
  CHECK(got->seq == wanted->seq && got->pid == wanted->pid && got->has_socket == 0);
  if (wanted->error == 0 && has_payloads(vector)) {
    CHECK(memcmp(&got->interface, &wanted->interface, sizeof got->interface) == 0);
    CHECK(memcmp(&got->pvd, &wanted->pvd, sizeof got->pvd) == 0);
    CHECK(memcmp(&got->address, &wanted->address, sizeof got->address) == 0);
    CHECK(memcmp(&got->failure, &wanted->failure, sizeof got->failure) == 0);
    CHECK(got->element == wanted->element && got->information == wanted->information);
    CHECK(got->transaction == wanted->transaction);
    CHECK(got->item_count == wanted->item_count && got->counter_count == wanted->counter_count);
    for (size_t i = 0; i < got->item_count; i++) {
      struct mif_item item = got->items[i], other = vector->items[i];
      CHECK(item.length == other.length);
      if (item.length > 0) CHECK(memcmp(item.bytes, other.bytes, item.length + 1) == 0);
      item.bytes = other.bytes = NULL;
      CHECK(memcmp(&item, &other, sizeof item) == 0);
    }
    for (size_t i = 0; i < got->counter_count; i++)
      CHECK(strcmp(got->counters[i].name, vector->counters[i].name) == 0 &&
            got->counters[i].value == vector->counters[i].value);
  } else {
    CHECK(got->item_count == 0 && got->pvd.id == 0 && got->interface.ifindex == 0 && got->transaction == 0);
  }
  REFUSED(mif_take_socket(session), ENOENT);
  CHECK(mif_get(session, &empty) == 0);
  messages++;

  /* Cut short, and each byte another one: a message, or the end of the session, and nothing worse. */
  for (size_t i = 0; i < 2 * vector->length; i++) {
    unsigned char bytes[1024];
    size_t length = i < vector->length ? i : vector->length;
    memcpy(bytes, vector->bytes, vector->length);
    if (i >= vector->length) bytes[i - vector->length] ^= (unsigned char)(1u << (i % 8) | 0x80);
    if (length == 0) continue;
    say(agent, bytes, length, -1, 0);
    spoilt++;
    errno = 0;
    int result = mif_get(session, &got);
    CHECK(result >= 0 || errno == EPROTO);
    if (result >= 0) continue;
    REFUSED(mif_get(session, &got), EPROTO);
    close_session(session, agent);
    session = open_session(&agent);
  }
  close_session(session, agent);
}

/*
 * The same to a connector, with a socket beside each: whatever it makes of them, it goes on or ends, and keeps nothing.
 * Seq and pid are those of its first request, and the transaction is one that it could have.
 */
static void check_connector(const struct vector *vector)
{
  struct mif_connect_options options = {.size = sizeof options, .runtime_dir = directory};
  int before = descriptors();
  for (size_t i = 0; i <= vector->length; i++) {
    unsigned char bytes[1024];
    const uint32_t seq = 1, pid = (uint32_t)getpid();
    struct mif_connector *connector = mif_connect_start("host.example.com", 80, &options, SOON);
    int agent = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(connector != NULL && agent >= 0);
    memcpy(bytes, vector->bytes, vector->length);
    memcpy(bytes + 8, &seq, 4);
    memcpy(bytes + 12, &pid, 4);
    say(agent, bytes, vector->length, agent, 1);
    if (i < vector->length) bytes[i] ^= (unsigned char)(1u << (i % 8) | 0x80);
    say(agent, bytes, vector->length, agent, 2);
    for (int step = 0; step < 3; step++) mif_connect_step(connector);
    mif_connect_cancel(connector);
    close(agent);
  }
  CHECK(descriptors() == before);
}

static void check(const struct vector *vector)
{
  if (vector->length == 0) return;
  if (vector->message.error == 0 && !has_payloads(vector)) check_request(vector);
  if (!is_request(vector->message.msgtype) || vector->message.error != 0) check_message(vector);
  check_connector(vector);
}

/* ---- What no vector has ---- */

static void check_refusals(void)
{
  int agent;
  struct mif_session *session = open_session(&agent);
  struct { struct mif_request request; uint32_t later; } longer = {.request = {.size = sizeof longer, .msgtype = 1}};
  CHECK(mif_post(session, &longer.request, NULL) == 0);
  longer.later = 1;
  REFUSED(mif_post(session, &longer.request, NULL), E2BIG);
  struct mif_request request = {.size = sizeof request - 1, .msgtype = MIF_ANNOUNCE_INTERFACES};
  REFUSED(mif_post(session, &request, NULL), EINVAL);
  request.size = sizeof request;
  request.msgtype = 99;
  REFUSED(mif_post(session, &request, NULL), EOPNOTSUPP);
  request.msgtype = MIF_CONNECT_TO_ADDRESS;
  REFUSED(mif_post(session, &request, NULL), EAFNOSUPPORT);
  request.destination.ss_family = AF_INET;
  request.transport = 1;
  REFUSED(mif_post(session, &request, NULL), EINVAL);

  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
  struct sockaddr *address = (struct sockaddr *)&v6;
  REFUSED(mif_connect_to_address(session, 1, 1, IPPROTO_TCP, address, sizeof v6 - 1, NULL), EINVAL);
  REFUSED(mif_connect_to_address(session, 1, 1, 300, address, sizeof v6, NULL), EINVAL);
  REFUSED(mif_connect_to_address(session, 1, 1, IPPROTO_TCP, NULL, 0, NULL), EINVAL);
  REFUSED(mif_translate_name(session, 1, NULL, 1, NULL), EINVAL);
  REFUSED(mif_translate_name(session, 1, "", 1, NULL), EINVAL);
  char name[257];
  memset(name, 'a', 256);
  name[256] = 0;
  REFUSED(mif_translate_name(session, 1, name, 1, NULL), ENAMETOOLONG);
  CHECK(mif_translate_name(session, 1, name + 1, 1, NULL) == 0);

  /* An agent that reads nothing; then one that reads again. */
  int posted = 0;
  while (mif_announce_interfaces(session, NULL) == 0) CHECK(++posted < 1000000);
  CHECK(errno == EAGAIN && posted > 0);
  char bytes[512];
  while (recv(agent, bytes, sizeof bytes, MSG_DONTWAIT) > 0) continue;
  struct pollfd writable = {.fd = mif_fd(session), .events = POLLOUT};
  CHECK(poll(&writable, 1, SOON) == 1 && mif_announce_interfaces(session, NULL) == 0);
  close_session(session, agent);

  struct mif_options options = {.size = sizeof options, .runtime_dir = "/nowhere/at/all"};
  errno = 0;
  CHECK(mif_open(&options) == NULL && errno == ENOENT);
  options.flags = 1;
  CHECK(mif_open(&options) == NULL && errno == EINVAL);
  errno = 7;
  mif_close(NULL);
  mif_connect_cancel(NULL);
  CHECK(errno == 7);
}

static void check_end(void)
{
  int agent;
  struct mif_session *session = open_session(&agent);
  const struct mif_message *message;
  const unsigned char farewell[16] = {1, 0, ENOSPC, 0, 2};
  say(agent, farewell, sizeof farewell, -1, 0);
  close(agent);
  for (int i = 0; i < 3; i++) {
    CHECK(mif_check(session, NULL, 0, SOON) == MIF_CHECK_MESSAGE);
    REFUSED(mif_get(session, &message), ENOSPC);
    REFUSED(mif_announce_interfaces(session, NULL), ENOSPC);
  }
  mif_close(session);
}

static const unsigned char connected[24] = {1, MIF_CONNECTED, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 7, 0, 78};

static void check_sockets(void)
{
  int agent, pair[2];
  struct mif_session *session = open_session(&agent);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  int before = descriptors();
  /* Not taken, taken, and more of them than a message may have. */
  for (unsigned copies = 1; copies <= 3; copies++) {
    say(agent, connected, sizeof connected, pair[1], copies);
    const struct mif_message *message = expect_message(session);
    CHECK(message->msgtype == MIF_CONNECTED && message->transaction == 78 && message->has_socket == 1);
    CHECK(descriptors() == before + 1);
  }
  int taken = mif_take_socket(session);
  CHECK(taken >= 0 && fcntl(taken, F_GETFD) == FD_CLOEXEC);
  REFUSED(mif_take_socket(session), ENOENT);
  say(agent, connected, sizeof connected, pair[1], 1);
  say(agent, connected, sizeof connected, pair[1], 2);
  CHECK(expect_message(session)->has_socket == 1);
  close_session(session, agent);
  CHECK(write(taken, "x", 1) == 1); /* stays */
  close(taken);
  CHECK(descriptors() == before - 2);
  close(pair[0]);
  close(pair[1]);
}

static void on_alarm(int number)
{
  (void)number;
}

static void check_waiting(void)
{
  int agent, ends[2];
  const unsigned char overrun[16] = {1, MIF_OVERRUN, 0, 0, 2};
  struct mif_session *session = open_session(&agent);
  CHECK(pipe(ends) == 0);
  struct pollfd own[2] = {{.fd = ends[0], .events = POLLIN, .revents = 99}, {.fd = -1, .events = POLLIN}};
  CHECK(mif_check(session, own, 2, 0) == 0 && own[0].revents == 0);
  CHECK(mif_check(session, own, 2, 20) == 0);
  CHECK(mif_check(NULL, NULL, 0, 1) == 0);
  CHECK(write(ends[1], "x", 1) == 1);
  CHECK(mif_check(session, own, 2, -1) == MIF_CHECK_DESCRIPTOR && own[0].revents == POLLIN && own[1].revents == 0);
  CHECK(mif_check(NULL, own, 1, -1) == MIF_CHECK_DESCRIPTOR);
  say(agent, overrun, sizeof overrun, -1, 0);
  CHECK(mif_check(session, own, 2, -1) == (MIF_CHECK_MESSAGE | MIF_CHECK_DESCRIPTOR));
  CHECK(mif_check(session, NULL, 0, -1) == MIF_CHECK_MESSAGE);
  CHECK(expect_message(session)->msgtype == MIF_OVERRUN);
  CHECK(mif_check(session, NULL, 0, 0) == 0);

  struct sigaction action = {.sa_handler = on_alarm};
  struct itimerval soon = {.it_interval = {.tv_usec = 20000}, .it_value = {.tv_usec = 20000}};
  struct itimerval never = {.it_value = {.tv_usec = 0}};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
  REFUSED(mif_check(session, NULL, 0, -1), EINTR);
  struct mif_connect_options options = {.size = sizeof options, .runtime_dir = directory};
  REFUSED(mif_connect("host.example.com", 80, &options, NULL, -1), EINTR);
  CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
  close(accept(listener, NULL, NULL));
  close(ends[0]);
  close(ends[1]);
  close_session(session, agent);
}

/* ---- Connecting to a host ---- */

static void put(unsigned char *message, size_t *length, uint16_t type, const void *bytes, size_t size)
{
  uint16_t units = (uint16_t)((4 + size + 7) / 8);
  memset(message + *length, 0, units * 8u);
  memcpy(message + *length, &units, 2);
  memcpy(message + *length + 2, &type, 2);
  memcpy(message + *length + 4, bytes, size);
  *length += units * 8u;
  units = (uint16_t)(*length / 8);
  memcpy(message + 4, &units, 2);
}

/*
 * Answers one request as an agent with one interface and one provisioning domain would, with the address 192.0.2.10;
 * the host is 192.0.2.1. `error` is what its attempt comes to; 0 hands `socket` over. 0: nothing there, or the end.
 */
static int serve(int agent, uint8_t error, int socket)
{
  unsigned char request[512], answer[512];
  ssize_t got = recv(agent, request, sizeof request, MSG_DONTWAIT);
  if (got <= 0) return 0;
  struct { uint32_t ifindex; char name[16]; uint32_t flags, reserved; } interface = {3, "up0", 3, 0};
  struct { uint32_t id; uint8_t length, flags; uint16_t reserved; char name[4]; } pvd = {5, 4, 0, 0, "home"};
  struct { uint8_t prefix, reserved; uint16_t flags; uint32_t preferred, valid; struct sockaddr_in address; } address =
      {24, 0, 0, 60, 60, {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xC000020A)}};
  struct { uint16_t error; uint8_t from, reserved, type, code; uint16_t reserved2; uint32_t status; } failure = {
      .error = error, .from = error ? MIF_FAILURE_LOCAL : MIF_FAILURE_NONE};
  size_t length = 16;
  memcpy(answer, request, 16);
  uint32_t transaction = 0;
  /* Payloads stand in the order in which the library writes them. */
  switch (request[1]) {
  case MIF_ANNOUNCE_INTERFACES:
    answer[1] = MIF_INTERFACE_ANNOUNCEMENT;
    put(answer, &length, 1, &interface, sizeof interface);
    break;
  case MIF_ANNOUNCE_PVDS:
    answer[1] = MIF_PVD_ANNOUNCEMENT;
    put(answer, &length, 1, &interface, sizeof interface);
    put(answer, &length, 2, &pvd, sizeof pvd);
    break;
  case MIF_ANNOUNCE_ADDRESSES:
    answer[1] = MIF_ADDRESS_ANNOUNCEMENT;
    put(answer, &length, 2, &pvd, sizeof pvd);
    put(answer, &length, 4, &address, sizeof address);
    break;
  case MIF_TRANSLATE_NAME:
    memcpy(&transaction, request + got - 4, 4);
    answer[1] = MIF_NAME_TRANSLATION;
    address.address.sin_addr.s_addr = htonl(0xC0000201);
    put(answer, &length, 7, &transaction, 4);
    put(answer, &length, 4, &address, sizeof address);
    say(agent, answer, length, -1, 0);
    length = 16;
    answer[1] = MIF_NAME_TRANSLATION_ENDED;
    failure.error = failure.from = 0;
    put(answer, &length, 7, &transaction, 4);
    put(answer, &length, 9, &failure, sizeof failure);
    say(agent, answer, length, -1, 0);
    return 1;
  case MIF_CONNECT_TO_ADDRESS:
    memcpy(&transaction, request + 16 + 16 + 4, 4);
    answer[1] = error ? MIF_NOT_CONNECTED : MIF_CONNECTED;
    put(answer, &length, 7, &transaction, 4);
    if (error) put(answer, &length, 9, &failure, sizeof failure);
    say(agent, answer, length, socket, error ? 0 : 1);
    return 1;
  default:
    answer[2] = EOPNOTSUPP;
    memcpy(answer + 4, "\2\0", 2);
    say(agent, answer, length, -1, 0);
    return 1;
  }
  say(agent, answer, length, -1, 0);
  length = 16;
  answer[1] = MIF_SNAPSHOT_END;
  memcpy(answer + 4, "\2\0", 2);
  say(agent, answer, length, -1, 0);
  return 1;
}

static int run(struct mif_connector *connector, int agent, uint8_t error, int socket)
{
  int result;
  for (int i = 0; (result = mif_connect_step(connector)) == 0; i++) {
    CHECK(i < 1000);
    while (serve(agent, error, socket)) continue;
    struct pollfd ready = {.fd = mif_connect_fd(connector), .events = POLLIN};
    poll(&ready, 1, 10);
  }
  return result;
}

static void check_connecting(void)
{
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  int before = descriptors();
  struct mif_connect_options options = {
      .size = sizeof options, .runtime_dir = directory, .flags = MIF_CONNECT_NONBLOCK};
  struct mif_route route;
  struct mif_attempt attempt;

  for (int round = 0; round < 4; round++) {
    if (round == 3) options.flags |= MIF_CONNECT_KEEP;
    struct mif_connector *connector = mif_connect_start("host.example.com", 80, &options, SOON);
    CHECK(connector != NULL && fcntl(mif_connect_fd(connector), F_GETFD) == FD_CLOEXEC);
    int agent = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (round == 0) { /* given up half-way */
      CHECK(mif_connect_step(connector) == 0 && serve(agent, 0, pair[1]));
      mif_connect_cancel(connector);
    } else if (round == 1) {
      CHECK(run(connector, agent, 0, pair[1]) == 1 && mif_connect_step(connector) == 1);
      CHECK(mif_connect_attempt(connector, 0, &attempt) == 1);
      CHECK(attempt.is_connected == 1 && attempt.failure.error == 0);
      int fd = mif_connect_finish(connector, &route);
      CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
      const struct sockaddr_in *to = (const struct sockaddr_in *)&route.destination;
      CHECK(route.ifindex == 3 && route.pvd.id == 5 && strcmp(route.pvd.name, "home") == 0);
      CHECK(to->sin_family == AF_INET && to->sin_addr.s_addr == htonl(0xC0000201) && to->sin_port == htons(80));
      close(fd);
    } else if (round == 3) { /* used again, and no agent asked to accept */
      REFUSED(mif_connect_next(connector, "host.example.com", 80, &options, SOON), EBUSY);
      for (int turn = 0; turn < 3; turn++) {
        CHECK(run(connector, agent, 0, pair[1]) == 1);
        int fd = mif_connect_take(connector, &route);
        CHECK(fd >= 0 && route.pvd.id == 5 && close(fd) == 0);
        REFUSED(mif_connect_take(connector, NULL), ENOENT);
        REFUSED(mif_connect_next(connector, "", 80, &options, SOON), EINVAL);
        CHECK(mif_connect_next(connector, "host.example.com", 80, &options, SOON) == 0);
      }
      mif_connect_cancel(connector);
    } else {
      REFUSED(run(connector, agent, ECONNREFUSED, -1), ECONNREFUSED);
      CHECK(mif_connect_attempt(connector, 0, &attempt) == 1 && attempt.failure.error == ECONNREFUSED);
      CHECK(attempt.failure.from == MIF_FAILURE_LOCAL && attempt.pvd.id == 5 && attempt.is_connected == 0);
      CHECK(mif_connect_attempt(connector, 1, &attempt) == 0);
      REFUSED(mif_connect_finish(connector, NULL), ECONNREFUSED);
    }
    close(agent);
    CHECK(descriptors() == before);
  }

  /* Taken too early: that ends it as well. */
  struct mif_connector *connector = mif_connect_start("192.0.2.1", 80, &options, -1);
  CHECK(connector != NULL);
  int agent = accept(listener, NULL, NULL);
  REFUSED(mif_connect_finish(connector, NULL), EAGAIN);
  close(agent);

  /* Waiting for it, the agent being somebody else. */
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    agent = accept(listener, NULL, NULL);
    for (struct pollfd asked = {.fd = agent, .events = POLLIN}; poll(&asked, 1, SOON) == 1;)
      if (!serve(agent, 0, pair[1])) break;
    _exit(0);
  }
  options.flags = 0;
  CHECK(fcntl(pair[1], F_SETFL, O_RDWR) == 0); /* as before the first round: the flag is the connection's */
  int fd = mif_connect("host.example.com", 80, &options, &route, SOON);
  CHECK(fd >= 0 && route.pvd.id == 5 && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
  CHECK(write(fd, "x", 1) == 1);
  close(fd);
  CHECK(waitpid(child, NULL, 0) == child);

  /* Nobody answers, nobody listens, and what is no order. */
  REFUSED(mif_connect("host.example.com", 80, &options, NULL, 50), ETIMEDOUT);
  REFUSED(mif_connect("host.example.com", 80, &options, NULL, 0), ETIMEDOUT);
  close(accept(listener, NULL, NULL));
  close(accept(listener, NULL, NULL));
  REFUSED(mif_connect("", 80, &options, NULL, 0), EINVAL);
  REFUSED(mif_connect(NULL, 80, &options, NULL, 0), EINVAL);
  options.flags = 0x80;
  REFUSED(mif_connect("a", 80, &options, NULL, 0), EINVAL);
  options.flags = 0;
  options.family = 99;
  REFUSED(mif_connect("a", 80, &options, NULL, 0), EAFNOSUPPORT);
  options.family = 0;
  options.runtime_dir = "/nowhere/at/all";
  REFUSED(mif_connect("a", 80, &options, NULL, 0), ENOENT);
  close(pair[0]);
  close(pair[1]);
}

int main(int argc, char **argv)
{
  CHECK(argc == 3);
  directory = argv[2];
  listen_in(directory);
  FILE *file = fopen(argv[1], "re");
  CHECK(file != NULL);
  static struct vector vector;
  char line[4096];
  while (fgets(line, sizeof line, file)) {
    if (strncmp(line, "vector ", 7) == 0) {
      check(&vector);
      memset(&vector, 0, sizeof vector);
      CHECK(sscanf(line, "vector %63s", vector.name) == 1);
    } else if (strncmp(line, "message ", 8) == 0) read_message(&vector, line);
    else if (strncmp(line, "payload ", 8) == 0) read_payload(&vector, line);
    else if (line[0] == ' ') read_bytes(&vector, line);
    else CHECK(line[0] == '#' || isspace((unsigned char)line[0]));
  }
  fclose(file);
  check(&vector);
  CHECK(requests > 18 && messages > 25);
  check_refusals();
  check_end();
  check_sockets();
  check_waiting();
  check_connecting();
  printf("%u requests, %u messages, %u spoilt ones\n", requests, messages, spoilt);
  return 0;
}
