/*
 * Builders and readers of libmif against the golden vectors, byte for byte, then cut short and spoilt in every byte.
 *
 *   messages VECTORS      (Tests/Vectors/trigger.txt)
 *
 * Messages lie in memory of exactly their size, so that AddressSanitizer and valgrind see every byte too many.
 */
#include "check.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <mif.h>
#include <netinet/in.h>
#include <unistd.h>

struct vector {
  char name[64];
  struct trigger_message message;
  struct trigger_filter filter;
  int has_filter;
  unsigned char bytes[1024];
  size_t length;
};

static unsigned vectors, spoilt, families;

/* ---- The vectors' text ---- */

/* The value behind " key=", up to the next space; empty if there is none. */
static void value(const char *line, const char *key, char *text, size_t size)
{
  char wanted[32];
  snprintf(wanted, sizeof wanted, " %s=", key);
  const char *found = strstr(line, wanted);
  size_t length = found ? strcspn(found + strlen(wanted), " \n") : 0;
  CHECK(length < size);
  if (found) memcpy(text, found + strlen(wanted), length);
  text[length] = 0;
}

static uint64_t number(const char *line, const char *key)
{
  char text[64];
  value(line, key, text, sizeof text);
  return strtoull(text, NULL, 10);
}

static void set_address(struct sockaddr_storage *storage, const char *text, uint32_t scope)
{
  struct sockaddr_in v4 = {.sin_family = AF_INET};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_scope_id = scope};
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) memcpy(storage, &v4, sizeof v4);
  else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) memcpy(storage, &v6, sizeof v6);
}

static void read_message(struct vector *vector, const char *line)
{
  vector->message.msgtype = (uint8_t)number(line, "msgtype");
  vector->message.error = (uint8_t)number(line, "errno");
  vector->message.flags = (uint8_t)number(line, "flags");
  vector->message.seq = (uint32_t)number(line, "seq");
  vector->message.pid = (uint32_t)number(line, "pid");
}

static void read_types(struct trigger_filter *filter, const char *line)
{
  char text[512];
  value(line, "types", text, sizeof text);
  for (char *next = strtok(text, ","); next; next = strtok(NULL, ","))
    filter->types[filter->type_count++] = (uint16_t)strtoul(next, NULL, 10);
}

static void read_payload(struct vector *vector, const char *line)
{
  struct trigger_record *trigger = &vector->message.trigger;
  char type[16], text[64];
  CHECK(sscanf(line, "payload %15s", type) == 1);
  if (strcmp(type, "TRIGGER") == 0) {
    vector->message.has_trigger = 1;
    trigger->type = (uint16_t)number(line, "type");
    trigger->id = (uint32_t)number(line, "id");
  } else if (strcmp(type, "ADDRESS") == 0) {
    struct trigger_address *address = &trigger->addresses[trigger->address_count++];
    value(line, "address", text, sizeof text);
    set_address(&address->address, text, (uint32_t)number(line, "scope"));
    address->prefix_length = (uint8_t)number(line, "prefixlen");
  } else if (strcmp(type, "ORIGIN") == 0) {
    struct tdb_origin *origin = &trigger->origin;
    trigger->has_origin = 1;
    origin->tdb_origin_len = TDB_ORIGIN_LEN;
    origin->tdb_origin_pltype = TDB_PT_ORIGIN;
    origin->tdb_origin_ifindex = (uint32_t)number(line, "ifindex");
    value(line, "name", text, sizeof text);
    memcpy(origin->tdb_origin_ifname, text, strlen(text));
    origin->tdb_origin_pvd = (uint32_t)number(line, "pvd");
    origin->tdb_origin_source = (uint8_t)number(line, "source");
    origin->tdb_origin_icmp_type = (uint8_t)number(line, "icmptype");
    origin->tdb_origin_icmp_code = (uint8_t)number(line, "icmpcode");
    origin->tdb_origin_reason = (uint8_t)number(line, "reason");
    origin->tdb_origin_count = (uint32_t)number(line, "count");
    origin->tdb_origin_addrflags = (uint32_t)number(line, "addrflags");
    origin->tdb_origin_timestamp = number(line, "timestamp");
  } else {
    CHECK(strcmp(type, "FILTER") == 0);
    vector->has_filter = 1;
    vector->filter.ifindex = (uint32_t)number(line, "interface");
    vector->filter.prefix_length = (uint8_t)number(line, "prefixlen");
    value(line, "address", text, sizeof text);
    set_address(&vector->filter.prefix, text, (uint32_t)number(line, "scope"));
    read_types(&vector->filter, line);
  }
}

static void read_bytes(struct vector *vector, const char *line)
{
  for (char *end; ; line = end) {
    unsigned long byte = strtoul(line, &end, 16);
    if (end == line) return;
    CHECK(vector->length < sizeof vector->bytes);
    vector->bytes[vector->length++] = (unsigned char)byte;
  }
}

/* ---- Checks ---- */

/* A message by the macros of <net/trigger.h>: how many payloads there are, -1 where one is not whole. */
static int walk(const void *bytes, size_t length)
{
  const struct tdb_header *header = bytes;
  size_t left = length - sizeof *header;
  int payloads = 0;
  const struct tdb_payload *payload;
  for (payload = TDB_FIRST(header); TDB_OK(payload, left); payload = TDB_NEXT(payload, left)) {
    const struct tdb_address *address = (const struct tdb_address *)payload;
    if (payload->tdb_payload_type == TDB_PT_ADDRESS && TDB_ADDRESS_ROOM(address) >= sizeof(struct sockaddr_in))
      families += TDB_ADDRESS_SOCKADDR(address)->sa_family;
    payloads++;
  }
  return left == 0 ? payloads : -1;
}

/* Whatever is in memory, as the library reads it and with everything that it can be asked; 1 if it is well. */
static int read_all(const void *bytes, size_t length, struct trigger_builder *copy)
{
  struct trigger_iterator iterator;
  const struct tdb_payload *payload;
  int next, payloads = 0, well = 1;
  if (trigger_iterate(&iterator, bytes, length) != 0) return 0;
  while ((next = trigger_iterate_next(&iterator, &payload)) > 0) {
    struct trigger_address address;
    struct tdb_origin origin;
    struct trigger_filter filter;
    uint16_t type = 0;
    uint32_t id = 0;
    size_t place = (size_t)((const char *)payload - (const char *)bytes);
    CHECK(place >= 16 && place < length && TDB_BYTES(payload->tdb_payload_len) <= length - place);
    if (trigger_payload_trigger(payload, &type, &id) == 0) trigger_build_trigger(copy, type, id);
    else if (trigger_payload_address(payload, &address) == 0)
      trigger_build_address(copy, (struct sockaddr *)&address.address, sizeof address.address, address.prefix_length);
    else if (trigger_payload_origin(payload, &origin) == 0) trigger_build_origin(copy, &origin);
    else if (trigger_payload_filter(payload, &filter) == 0) trigger_build_filter(copy, &filter);
    else well = 0;
    payloads++;
  }
  CHECK(next == 0 || errno == EINVAL);
  CHECK(walk(bytes, length) == (next == 0 ? payloads : -1));
  return next == 0 && well;
}

static ssize_t build(const struct vector *vector, void *memory, size_t size)
{
  const struct trigger_message *message = &vector->message;
  struct tdb_header header = {.tdb_header_msgtype = message->msgtype,
                              .tdb_header_errno = message->error,
                              .tdb_header_reserved1 = message->flags,
                              .tdb_header_seq = message->seq,
                              .tdb_header_pid = message->pid};
  struct trigger_builder builder;
  trigger_build_message(&builder, memory, size, &header);
  if (message->has_trigger) trigger_build_trigger(&builder, message->trigger.type, message->trigger.id);
  for (unsigned i = 0; i < message->trigger.address_count; i++) {
    const struct trigger_address *address = &message->trigger.addresses[i];
    trigger_build_address(&builder, (const struct sockaddr *)&address->address, sizeof address->address,
                          address->prefix_length);
  }
  if (message->trigger.has_origin) trigger_build_origin(&builder, &message->trigger.origin);
  if (vector->has_filter) trigger_build_filter(&builder, &vector->filter);
  return trigger_build_finish(&builder);
}

static void check_building(const struct vector *vector)
{
  for (size_t size = 0; size <= vector->length; size++) {
    unsigned char *memory = malloc(size ? size : 1);
    memset(memory, 0xa5, size ? size : 1);
    errno = 0;
    ssize_t length = build(vector, memory, size);
    if (size < vector->length) CHECK(length == -1 && errno == EMSGSIZE);
    else CHECK((size_t)length == vector->length && memcmp(memory, vector->bytes, vector->length) == 0);
    free(memory);
  }
}

static void check_reading(const struct vector *vector)
{
  struct trigger_message message;
  memset(&message, 0xa5, sizeof message);
  CHECK(trigger_parse(vector->bytes, vector->length, &message) == 0);
  CHECK(memcmp(&message, &vector->message, sizeof message) == 0);

  /* The same from its payloads one by one, and back to bytes. */
  unsigned char memory[sizeof vector->bytes];
  struct tdb_header header;
  struct trigger_builder copy;
  memcpy(&header, vector->bytes, sizeof header);
  trigger_build_message(&copy, memory, sizeof memory, &header);
  CHECK(read_all(vector->bytes, vector->length, &copy));
  CHECK(trigger_build_finish(&copy) == (ssize_t)vector->length);
  CHECK(memcmp(memory, vector->bytes, vector->length) == 0);
}

/* Reads a message that is not as it should be, from memory of exactly its size. */
static int try_reading(const unsigned char *bytes, size_t length)
{
  unsigned char *memory = malloc(length ? length : 1), copied[1024];
  struct trigger_message message;
  struct trigger_builder copy;
  struct tdb_header header = {.tdb_header_msgtype = TDB_ADD};
  memcpy(memory, bytes, length);
  trigger_build_message(&copy, copied, sizeof copied, &header);
  int walked = read_all(memory, length, &copy);
  errno = 0;
  int parsed = trigger_parse(memory, length, &message) == 0;
  if (!parsed)
    CHECK(errno == EINVAL || errno == EMSGSIZE || errno == EPROTONOSUPPORT || errno == EOPNOTSUPP ||
          errno == EAFNOSUPPORT);
  free(memory);
  spoilt++;
  return parsed || walked;
}

static void check_spoilt(const struct vector *vector)
{
  unsigned char bytes[sizeof vector->bytes];
  memcpy(bytes, vector->bytes, vector->length);
  for (size_t length = 0; length < vector->length; length++) {
    CHECK(!try_reading(bytes, length));
    if (length < 16 || length % 8 != 0) continue;
    /* As if it had been meant to be so short: a payload may be cut, or the last ones missing. */
    bytes[4] = (unsigned char)(length / 8);
    try_reading(bytes, length);
    bytes[4] = vector->bytes[4];
  }
  for (size_t place = 0; place < vector->length; place++) {
    for (unsigned other = 0; other < 256; other++) {
      bytes[place] = (unsigned char)other;
      try_reading(bytes, vector->length);
    }
    bytes[place] = vector->bytes[place];
  }
}

static void check(const struct vector *vector)
{
  if (vector->length == 0) return;
  check_building(vector);
  check_reading(vector);
  check_spoilt(vector);
  vectors++;
}

/* ---- What builders refuse ---- */

static void check_refusals(void)
{
  unsigned char memory[TRIGGER_MESSAGE_SIZE];
  struct trigger_builder builder;
  struct trigger_address address;
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = 7};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_flowinfo = 7};
  struct sockaddr other = {.sa_family = AF_UNIX};

  REFUSED(trigger_address_set(&address, &other, sizeof other, 0), EAFNOSUPPORT);
  REFUSED(trigger_address_set(&address, (struct sockaddr *)&v4, sizeof v4, 33), EINVAL);
  REFUSED(trigger_address_set(&address, (struct sockaddr *)&v4, sizeof v4 - 1, 32), EINVAL);
  REFUSED(trigger_address_set(&address, (struct sockaddr *)&v6, sizeof v6, 129), EINVAL);
  REFUSED(trigger_address_set(&address, (struct sockaddr *)&v6, sizeof v6 - 1, 128), EINVAL);
  REFUSED(trigger_address_set(&address, (struct sockaddr *)&v6, 1, 128), EINVAL);
  CHECK(trigger_address_set(&address, (struct sockaddr *)&v4, sizeof v4, 32) == 0);
  CHECK(((struct sockaddr_in *)&address.address)->sin_port == 0);

  trigger_build_request(&builder, memory, sizeof memory, TDB_ADD, 0, 1);
  trigger_build_trigger(&builder, TDB_TTYPE_CONN_LOST, 0);
  trigger_build_trigger(&builder, TDB_TTYPE_CONN_LOST, 0);
  REFUSED(trigger_build_finish(&builder), EINVAL);

  trigger_build_request(&builder, memory, sizeof memory, TDB_ADD, 0, 1);
  for (int i = 0; i < TDB_ADDRESSES_MAX + 1; i++)
    trigger_build_address(&builder, (struct sockaddr *)&v6, sizeof v6, 128);
  REFUSED(trigger_build_finish(&builder), EINVAL);

  /* The first error counts, and nothing is written after it. */
  trigger_build_request(&builder, memory, sizeof memory, TDB_ADD, 0, 1);
  trigger_build_address(&builder, &other, sizeof other, 0);
  trigger_build_address(&builder, (struct sockaddr *)&v4, sizeof v4, 99);
  REFUSED(trigger_build_finish(&builder), EAFNOSUPPORT);
  CHECK(builder.length == sizeof(struct tdb_header));

  struct tdb_origin origin = {.tdb_origin_source = 77};
  trigger_build_request(&builder, memory, sizeof memory, TDB_ADD, 0, 1);
  trigger_build_origin(&builder, &origin);
  REFUSED(trigger_build_finish(&builder), EINVAL);

  struct trigger_filter filter = {.type_count = TDB_FILTER_TYPES_MAX + 1};
  trigger_build_request(&builder, memory, sizeof memory, TDB_REGISTER, 0, 1);
  trigger_build_filter(&builder, &filter);
  REFUSED(trigger_build_finish(&builder), EINVAL);

  /* A filter brings its bit along. */
  filter.type_count = 0;
  trigger_build_request(&builder, memory, sizeof memory, TDB_REGISTER, TDB_EXT_CAUSE, 1);
  trigger_build_filter(&builder, &filter);
  CHECK(trigger_build_finish(&builder) == 64);
  CHECK(((struct tdb_header *)memory)->tdb_header_reserved1 == (TDB_EXT_CAUSE | TDB_EXT_FILTER));

  /* The longest that there is fits, with this process' pid, and is finished once. */
  trigger_build_request(&builder, memory, sizeof memory, TDB_NOTIFY, 0, 1);
  trigger_build_trigger(&builder, 1, 1);
  for (int i = 0; i < TDB_ADDRESSES_MAX; i++)
    trigger_build_address(&builder, (struct sockaddr *)&v6, sizeof v6, 128);
  origin.tdb_origin_source = TDB_SOURCE_CLIENT;
  trigger_build_origin(&builder, &origin);
  CHECK(trigger_build_finish(&builder) == TRIGGER_MESSAGE_SIZE);
  CHECK(((struct tdb_header *)memory)->tdb_header_pid == (uint32_t)getpid());
  REFUSED(trigger_build_finish(&builder), EINVAL);
}

int main(int argc, char **argv)
{
  CHECK(argc == 2);
  FILE *file = fopen(argv[1], "r");
  CHECK(file != NULL);
  struct vector vector = {.length = 0};
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
  CHECK(vectors > 15 && families > 0);
  check_refusals();
  printf("%u vectors, %u spoilt messages\n", vectors, spoilt);
  return 0;
}
