/* What a programmer has who holds only draft-schilcher-mobike-trigger-api-00: its structs and numbers, copied from its
   text, and socket(2). Nothing of this project is included here. */
#ifndef PF_TRIGGER_H
#define PF_TRIGGER_H

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PF_TRIGGER 200 /* the draft leaves it to IANA */

enum { TDB_ADD = 1, TDB_GET = 2, TDB_DELETE = 3, TDB_REGISTER = 4, TDB_NOTIFY = 5, TDB_MODIFY = 6 };
enum { TDB_PT_ADDRESS = 1, TDB_PT_TRIGGER = 2 };
enum { TDB_TTYPE_IF_ADDRCHANGED = 3, TDB_TTYPE_DEST_UNREACHABLE = 6 };

struct tdb_header {
  uint8_t tdb_header_version;
  uint8_t tdb_header_msgtype;
  uint8_t tdb_header_errno;
  uint8_t tdb_header_reserved1;
  uint16_t tdb_header_msglen;
  uint16_t tdb_header_reserved2;
  uint32_t tdb_header_seq;
  uint32_t tdb_header_pid;
} __attribute__((packed)); /* sizeof( struct tdb_header ) == 16 */

struct tdb_address {
  uint16_t tdb_address_len;
  uint16_t tdb_address_pltype;
  uint8_t tdb_address_prefixlen;
  uint8_t tdb_address_reserved1;
  uint16_t tdb_address_reserved2;
} __attribute__((packed)); /* sizeof( struct tdb_address ) == 8 */

struct tdb_trigger {
  uint16_t tdb_trigger_len;
  uint16_t tdb_trigger_pltype;
  uint16_t tdb_trigger_type;
  uint16_t tdb_trigger_reserved1;
  uint32_t tdb_trigger_id;
  uint32_t tdb_trigger_reserved2;
} __attribute__((packed)); /* sizeof( struct tdb_trigger ) == 16 */

/* HEADER, TRIGGER, ADDRESS: a message about one IPv4 address. */
struct message {
  struct tdb_header header;
  struct tdb_trigger trigger;
  struct tdb_address address;
  struct sockaddr_in sockaddr;
} __attribute__((packed));

#define BARE sizeof(struct tdb_header)
#define SHORT (BARE + sizeof(struct tdb_trigger))
#define WHOLE sizeof(struct message)

#define CHECK(condition)                                                                                   \
  do {                                                                                                     \
    if (!(condition)) {                                                                                    \
      fprintf(stderr, "%s:%d: not so: %s (errno: %s)\n", __FILE__, __LINE__, #condition, strerror(errno)); \
      exit(1);                                                                                             \
    }                                                                                                      \
  } while (0)

/* A call that fails as it is to fail. */
#define REFUSED(call, number)                 \
  do {                                        \
    errno = 0;                                \
    CHECK((call) == -1 && errno == (number)); \
  } while (0)

static inline int open_trigger_socket(void) {
  int fd = socket(PF_TRIGGER, SOCK_RAW, 0);
  CHECK(fd >= 0);
  return fd;
}

/* A request of this length, with the trigger's type and id and an address where there is room for them. */
static inline struct message request(int msgtype, size_t length, uint32_t seq, uint16_t type, uint32_t id) {
  struct message made;
  memset(&made, 0, sizeof made);
  made.header.tdb_header_version = 1;
  made.header.tdb_header_msgtype = (uint8_t)msgtype;
  made.header.tdb_header_msglen = (uint16_t)(length / 8);
  made.header.tdb_header_seq = seq;
  made.header.tdb_header_pid = (uint32_t)getpid();
  made.trigger.tdb_trigger_len = sizeof made.trigger / 8;
  made.trigger.tdb_trigger_pltype = TDB_PT_TRIGGER;
  made.trigger.tdb_trigger_type = type;
  made.trigger.tdb_trigger_id = id;
  made.address.tdb_address_len = (sizeof made.address + sizeof made.sockaddr) / 8;
  made.address.tdb_address_pltype = TDB_PT_ADDRESS;
  made.address.tdb_address_prefixlen = 24;
  made.sockaddr.sin_family = AF_INET;
  made.sockaddr.sin_addr.s_addr = htonl(0xC0000201); /* 192.0.2.1 */
  return made;
}

/* The answer to a request is of its type and has its seq and pid. */
static inline void check_answer(const struct message *asked, const struct message *answer, ssize_t length) {
  CHECK(length >= (ssize_t)BARE && (size_t)length == 8u * answer->header.tdb_header_msglen);
  CHECK(answer->header.tdb_header_version == 1);
  CHECK(answer->header.tdb_header_msgtype == asked->header.tdb_header_msgtype);
  CHECK(answer->header.tdb_header_errno == 0);
  CHECK(answer->header.tdb_header_seq == asked->header.tdb_header_seq);
  CHECK(answer->header.tdb_header_pid == asked->header.tdb_header_pid);
}

static inline struct message ask(int fd, int msgtype, size_t length, uint32_t seq, uint16_t type, uint32_t id) {
  struct message asked = request(msgtype, length, seq, type, id), answer;
  CHECK(send(fd, &asked, length, 0) == (ssize_t)length);
  memset(&answer, 0, sizeof answer);
  check_answer(&asked, &answer, recv(fd, &answer, sizeof answer, 0));
  return answer;
}

/* The socket does what it is for: a trigger is added, asked for and deleted. */
static inline void check_works(int fd) {
  struct message added = ask(fd, TDB_ADD, WHOLE, 101, TDB_TTYPE_DEST_UNREACHABLE, 0);
  uint32_t id = added.trigger.tdb_trigger_id;
  CHECK(id != 0);
  struct message got = ask(fd, TDB_GET, SHORT, 102, 0, id);
  CHECK(got.trigger.tdb_trigger_type == TDB_TTYPE_DEST_UNREACHABLE);
  CHECK(got.sockaddr.sin_addr.s_addr == htonl(0xC0000201));
  ask(fd, TDB_DELETE, SHORT, 103, 0, id);
}

/* Nothing else comes. */
static inline void check_silent(int fd) {
  struct pollfd question = {.fd = fd, .events = POLLIN};
  CHECK(poll(&question, 1, 50) == 0);
}

/* `name` of the command line, one of a program's parts. */
struct part {
  const char *name;
  void (*run)(char **arguments);
};

static inline int run_part(const struct part *parts, int count, char **arguments) {
  if (arguments[1]) {
    for (const struct part *each = parts; each < parts + count; each++) {
      if (strcmp(each->name, arguments[1]) == 0) {
        each->run(arguments + 2);
        return 0;
      }
    }
  }
  fprintf(stderr, "%s: no such part: %s\n", arguments[0], arguments[1] ? arguments[1] : "(none)");
  return 2;
}

#endif
